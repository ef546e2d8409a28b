"""Small jobs on a scripted model: the real path without the weight."""

from pathlib import Path
from typing import Any

import yaml

from pipelines.job import LoadedJob, load_job
from pipelines.launch import Launched, Options, launch

SEEDS = [f"topic {number}" for number in range(40)]


def job_data(**changes: Any) -> dict[str, Any]:
    """A job of two model stages over forty topics; `changes` replace its sections."""
    data: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "block": 8,
        "models": {"writer": {"model": "scripted"}},
        "prompts": {
            "ask": prompt_text("Ask about {{ topic }}.", ["topic"]),
            "reply": prompt_text("Answer {{ question }}", ["question"]),
        },
        "sources": [{"kind": "topics", "topics": SEEDS, "count": len(SEEDS)}],
        "stages": [
            {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"},
            {"kind": "generate", "model": "writer", "prompt": "reply", "adds": "answer"},
        ],
        "exports": [],
    }
    return {**data, **changes}


def prompt_text(content: str, variables: list[str], output: str = "text") -> str:
    """The text of a prompt file with one user message."""
    return yaml.safe_dump(
        {
            "variables": dict.fromkeys(variables, "a column"),
            "messages": [{"role": "user", "content": content}],
            "output": {"form": output},
        }
    )


def write_job(folder: Path, data: dict[str, Any], name: str = "job.yaml") -> Path:
    """Write a job file and give its path."""
    path = folder / name
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def loaded_job(folder: Path, **changes: Any) -> LoadedJob:
    """A loaded job, checked."""
    loaded = load_job(write_job(folder, job_data(**changes)))
    loaded.check()
    return loaded


def launched(folder: Path, run: str = "run", **changes: Any) -> Launched:
    """A finished run in `folder / run`."""
    return launch(loaded_job(folder, **changes), folder / run, Options())


def files_of(run: Path) -> dict[str, bytes]:
    """All files of a run folder that must be the same on every repeat."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in (".lock", ".timing.jsonl")
    }
