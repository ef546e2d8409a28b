"""What of a job may stand in a published card: no absolute paths, server addresses, user names.

    public({"path": "/home/ada/corpus", "server": "http://10.0.0.5:8000/v1"})
    # {"path": "(local)/corpus", "server": "(server)"}

Keys and passwords are never in a job: it refers to environment variables.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath

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


def _text(text: str) -> str:
    if not _LOCAL.fullmatch(text):
        return _USER.sub("", text)
    windows = "\\" in text
    name = PureWindowsPath(text).name if windows else PurePosixPath(text).name
    return f"(local)/{name}"
