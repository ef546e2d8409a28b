"""`--set` on the command line: `stages.0.decoding.temperature=0.7` changes a job's plain data."""

from collections.abc import Iterable
from typing import Any

from prompts.errors import TextmillError, UsageError
from prompts.registry import dotted
from prompts.strict_yaml import Document, read_yaml


def apply_override(data: dict[str, Any], override: str) -> str:
    """Set in `data` what `override`, a `KEY=VALUE` with a dotted key and a YAML value, says.

    A key that a mapping does not have is added; whether a job knows it is found out when the job
    is built.

    Returns:
        The dotted key.

    Raises:
        UsageError: Not of that form, no YAML, or a list has no such item.
    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override}: not KEY=VALUE", fix=f"write --set {override}=VALUE")
    value = _read(path, text)
    current: Any = data
    parts = path.split(".")
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if isinstance(current, list):
            if not part.isdigit() or int(part) >= len(current):
                at = dotted(*parts[:position])
                fix = f"use a number below {len(current)}"
                raise UsageError(f"--set {path}: '{at}' has no item '{part}'", fix=fix)
            index: Any = int(part)
        elif isinstance(current, dict):
            index = part
            if not last and current.get(part) is None:
                current[part] = {}
        else:
            at = dotted(*parts[:position])
            raise UsageError(f"--set {path}: '{at}' holds no keys", fix=f"write --set {at}=VALUE")
        if last:
            current[index] = value
        else:
            current = current[index]
    return path


def overridden(error: TextmillError, keys: Iterable[str], document: Document) -> bool:
    """Whether what `error` is about came from one of the overridden `keys`, not from the file."""
    at = error.key
    return any(
        f"{at}.".startswith(f"{key}.") or (key.startswith(f"{at}.") and at not in document.lines)
        for key in keys
        if at
    )


def _read(path: str, text: str) -> Any:
    if not text.strip():
        fix = f"write --set {path}=null to leave it out, or --set {path}=\"''\" for an empty text"
        raise UsageError(f"--set {path}: no value", fix=fix)
    try:
        return read_yaml(text, file=f"--set {path}").data
    except UsageError as exc:
        exc.line = None
        raise
