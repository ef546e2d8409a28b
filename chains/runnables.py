"""Any LangChain Runnable by its dotted name, called on many inputs at once.

    runnable = open_runnable("my_module:chain")     # my_module.py: chain = prompt | model | parser
    runnable.batch([{"topic": "tea"}, {"topic": ""}])
    ->  ["Why is tea hot?", Failure("ValueError", "no topic")]

What comes out is plain JSON: the content of a message, the fields of a pydantic object.
"""

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompts.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

IMPORTABLE = "write module:name and put the module where Python finds it (PYTHONPATH)"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one input has no output.

    Attributes:
        kind: The exception's class, or `not_json` for an output that is no plain data.
        message: What it says.
    """

    kind: str
    message: str


class BatchRunnable:
    """A Runnable whose calls fail one by one.

    Args:
        runnable: The Runnable.
    """

    def __init__(self, runnable: "Runnable[Any, Any]") -> None:
        self._runnable = runnable

    def batch(self, inputs: Sequence[dict[str, Any]]) -> list[Any]:
        """One output an input, in order: JSON data, or a `Failure`."""
        if not inputs:
            return []
        return [_plain_or_failure(output) for output in self._outputs(list(inputs))]

    def _outputs(self, inputs: list[dict[str, Any]]) -> list[Any]:
        try:
            return self._runnable.batch(inputs, return_exceptions=True)
        except Exception:
            # A Runnable with a `batch` of its own may fail as a whole: then ask one by one.
            return [self._output(one) for one in inputs]

    def _output(self, one: dict[str, Any]) -> Any:
        try:
            return self._runnable.invoke(one)
        except Exception as exc:
            return exc


def find_target(target: str) -> tuple[str, str]:
    """Module and name of `module:name`, without importing the module.

    Raises:
        UsageError: It is written otherwise, or Python does not find the module.
    """
    module, colon, name = target.partition(":")
    parts = [*module.split("."), *name.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise UsageError(f"'{target}' is not a target", fix=IMPORTABLE)
    top = module.split(".")[0]
    if importlib.util.find_spec(top) is None:
        raise UsageError(f"there is no module '{top}'", fix=IMPORTABLE)
    return module, name


def open_runnable(target: str) -> BatchRunnable:
    """Import the Runnable `module:name`.

    Raises:
        UsageError: It cannot be imported, or is not a Runnable.
    """
    from langchain_core.runnables import Runnable

    module, name = find_target(target)
    try:
        found: Any = importlib.import_module(module)
    except Exception as exc:
        raise UsageError(f"module '{module}' cannot be imported: {exc}", fix=IMPORTABLE) from exc
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"module '{module}' has no '{name}'", fix="name a Runnable in it")
        found = getattr(found, part)
    if not isinstance(found, Runnable):
        fix = "name a LangChain Runnable; RunnableLambda(function) makes one of a function"
        raise UsageError(f"'{target}' is a {type(found).__name__}, not a Runnable", fix=fix)
    return BatchRunnable(found)


def _plain_or_failure(output: Any) -> Any:
    if isinstance(output, Exception):
        return Failure(type(output).__name__, str(output))
    try:
        return _plain(output)
    except (TypeError, ValueError, RecursionError) as exc:
        return Failure("not_json", str(exc))


def _plain(value: Any) -> Any:
    """`value` as JSON data; messages become their text, pydantic objects their fields."""
    from langchain_core.messages import BaseMessage
    from pydantic import BaseModel

    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"the output holds {value}, which JSON does not have")
        return value
    if isinstance(value, BaseMessage):
        return str(value.text)
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("the output is a mapping with keys that are not text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"the output holds a {type(value).__name__}, which is no JSON")
