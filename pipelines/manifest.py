"""`manifest.json`: what a run was made of and what came out; no times, no host, no absolute path.

{"textmill": "0.1.0", "job": {"name": "demo", "seed": 7, ...}, "models": {"writer": {...}},
 "stages": [{"stage": "question", "in": 64, "created": 0, "out": 60, ...}],
 "rows": 30, "stop": "quota"}
"""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.calling import Caller
from pipelines.folder import FORMAT
from pipelines.job import LoadedJob
from pipelines.runner import Run

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "langchain-core",
    "datasets",
    "pyarrow",
    "numpy",
    "pydantic",
    "llguidance",
)
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def textmill_version() -> str:
    """The project's version, from pyproject.toml; the run folder records it."""
    import tomllib

    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change what a run makes."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def machine_class() -> str:
    """What of the machine can change a model's last bits: architecture and matrix units."""
    flags: set[str] = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.partition(":")[2].split())
                break
    return " ".join([platform.machine(), *(flag for flag in _CPU_FLAGS if flag in flags)])


def environment() -> dict[str, Any]:
    """What besides the job and its models decides the bytes of a run."""
    return {"versions": package_versions(), "machine": machine_class()}


def environment_changes(then: Mapping[str, Any]) -> list[str]:
    """How the present environment differs from a recorded one, such as `torch 2.10.0, now 2.11.0`.

    Args:
        then: A manifest, or what `environment` gave; what is not in it is not compared.
    """
    now = environment()
    recorded = {**then.get("versions", {}), "machine": then.get("machine", now["machine"])}
    present = {**now["versions"], "machine": now["machine"]}
    return [
        f"{what} {value}, now {present[what]}"
        for what, value in recorded.items()
        if what in present and present[what] != value
    ]


def make_manifest(loaded: LoadedJob, run: Run, caller: Caller) -> dict[str, Any]:
    """The manifest of a finished run; exports are added as they are written."""
    job = loaded.job
    return {
        "textmill": textmill_version(),
        "format": FORMAT,
        "job": {
            "name": job.name,
            "seed": job.seed,
            "rows": job.rows,
            "sha": loaded.resolved().sha(),
        },
        **environment(),
        "models": caller.describe(loaded.used_models()),
        "embedder": _embedder(loaded, caller),
        "prompts": {_shown(name): prompt.sha for name, prompt in loaded.used_prompts().items()},
        "stages": run.counts,
        "rows": run.accepted,
        "rejected": sum(sum(entry["rejected"].values()) for entry in run.counts),
        "stop": run.stop,
        **({"usage": caller.usage.report(job.models, run.accepted)} if caller.asks_servers else {}),
        "reproducible": run.stop != "budget: minutes",
        "exports": [],
    }


def _embedder(loaded: LoadedJob, caller: Caller) -> dict[str, str] | None:
    """Name and fingerprint of the embedder; None where no stage asks it."""
    if not any(stage.uses_embedder() for stage in loaded.job.stages):
        return None
    return {"name": loaded.job.embedder, "fingerprint": caller.embedder().fingerprint}


def _shown(name: str) -> str:
    """A prompt's name; of one given by its absolute path the file's name alone."""
    return Path(name).name if Path(name).is_absolute() else name


def dump(manifest: dict[str, Any]) -> str:
    """The manifest as text."""
    return json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
