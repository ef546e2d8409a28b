"""What of a job may stand in a published card: no absolute paths, server addresses, user names.

    public({"path": "/home/ada/corpus", "server": "http://10.0.0.5:8000/v1"})
    # {"path": "(local)/corpus", "server": "(server)"}

Keys and passwords are never in a job: it refers to environment variables.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath

from pipelines.files import dump_yaml
from pipelines.rows import JSON

_LOCAL = re.compile(r"(file:/+|~[\w.-]*/|/[^/\s][^/\n]*/|[A-Za-z]:[\\/]|\\\\)[^\n]*")
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def public(value: JSON) -> JSON:
    """`value` with absolute paths reduced to their last part and server addresses left out."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {
            key: "(server)" if key == "server" and item else public(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    return value


def public_job(job: Mapping[str, JSON]) -> dict[str, JSON]:
    """A job as a card may show it.

    The text of a prompt stays as it is, whatever it looks like; only its name may be a path.
    """
    prompts = {public(name): text for name, text in job["prompts"].items()}
    rest = {key: value for key, value in job.items() if key != "prompts"}
    return {**public(rest), "prompts": prompts}


def public_jobs(manifest: Mapping[str, JSON], job: Mapping[str, JSON]) -> dict[str, str]:
    """The jobs that made a run, as the text of files: one, or those that it was merged of.

    public_jobs(manifest, job)   # {"job.yaml": "..."} or {"job-1.yaml": "...", "job-2.yaml": ...}
    """
    parts = manifest.get("parts")
    if not parts:
        return {"job.yaml": dump_yaml(public_job(job))}
    return {f"job-{part['part']}.yaml": dump_yaml(public_job(part["resolved"])) for part in parts}


def hindrance(manifest: Mapping[str, JSON]) -> str:
    """Why a repeat of a run may end elsewhere, in a clause; empty where it has the same bytes."""
    if changed := manifest.get("changed"):
        return f"This run went on in another environment ({'; '.join(changed)})"
    return "" if manifest.get("reproducible", True) else "A limit of time ended this run"


def _text(text: str) -> str:
    if not _LOCAL.fullmatch(text):
        return _USER.sub("", text)
    windows = "\\" in text
    name = PureWindowsPath(text).name if windows else PurePosixPath(text).name
    return f"(local)/{name}"
