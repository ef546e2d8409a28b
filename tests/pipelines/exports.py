"""Finished runs for the exporters' tests, made without running anything."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.exporters import Exporter, Finished, place
from pipelines.rows import Row

PROMPT = "messages:\n- {role: user, content: Ask about {{ context }}.}\n"

MANIFEST: dict[str, Any] = {
    "textmill": "0.1.0",
    "job": {"name": "support-qa", "seed": 7, "sha": "51f0c2d4a3b29e77"},
    "versions": {"python": "3.11", "torch": "2.13.0"},
    "machine": {"device": "cpu", "flags": ["avx512_bf16"]},
    "models": {"writer": {"model": "embedded", "revision": "b179c952", "license": "apache-2.0"}},
    "prompts": {"qa/question": "1f0c9e"},
    "stages": [
        {
            "stage": "source:documents",
            "kind": "documents",
            "in": 0,
            "created": 14,
            "out": 13,
            "rejected": {"not_utf8": 1},
        },
        {
            "stage": "question",
            "kind": "generate",
            "in": 13,
            "created": 13,
            "out": 21,
            "rejected": {"too_long": 2, "too_short": 3},
        },
        {
            "stage": "quota",
            "kind": "quota",
            "in": 21,
            "created": 0,
            "out": 20,
            "rejected": {"over_quota": 1},
        },
    ],
    "rows": 20,
    "stop": "quota",
    "exports": [],
}

JOB: dict[str, Any] = {
    "name": "support-qa",
    "seed": 7,
    "models": {"writer": {"model": "embedded", "server": ""}},
    "prompts": {"qa/question": PROMPT},
    "sources": [{"kind": "documents", "path": "examples/handbook", "shuffle": False}],
    "stages": [
        {
            "kind": "generate",
            "name": "question",
            "model": "writer",
            "prompt": "qa/question",
            "decoding": {"strategy": "sample", "temperature": 0.8, "stop": []},
        }
    ],
    "exports": [],
}


def rows_of(records: Iterable[dict[str, Any]], families: Sequence[str] = ()) -> list[Row]:
    """A row for each record; ids are r0, r1 and so on, and so are families that are not given."""
    return [
        Row(
            id=f"r{index}",
            order=(index,),
            family=families[index] if families else f"r{index}",
            data=record,
            history=(
                {"stage": "source:documents", "key": f"leave.md:{index}"},
                {"stage": "question"},
            ),
        )
        for index, record in enumerate(records)
    ]


def questions(count: int, *, replies: int = 1) -> list[Row]:
    """`count` rows with question and answer, `replies` in a row of one family."""
    records = [
        {
            "question": f"How many days, case {index}?",
            "answer": f"It is {index} days.",
            "document": "leave.md",
            "start": index,
            "end": index + 10,
            "topic": ("leave", "pay", "travel")[index % 3],
        }
        for index in range(count)
    ]
    return rows_of(records, [f"f{index // replies}" for index in range(count)])


def finished(rows: Sequence[Row], manifest: dict[str, Any] | None = None, **job: Any) -> Finished:
    """A finished run of these rows; `manifest` and `job` replace entries of the usual ones."""
    return Finished(lambda: iter(rows), {**MANIFEST, **(manifest or {})}, {**JOB, **job})


def exported(exporter: Exporter, rows: Sequence[Row], target: Path, **job: Any) -> dict[str, Any]:
    """Write an export to `target` the way a run does."""
    run = finished(rows, **job)
    return place(lambda folder: exporter.write(run, folder), target, overwrite=True)


def loaded(folder: Path, config: str = "default") -> Any:
    """What `load_dataset` makes of an exported folder, with a cache beside it."""
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), config, cache_dir=str(folder.parent / "cache"))


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
