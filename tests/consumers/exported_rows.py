"""Rows, and their exports, for tests in which the real consumers read them."""

import sys
from pathlib import Path
from typing import Any

from pipelines.exporters import EXPORTERS, Finished
from pipelines.rows import Row

sys.path.append(str(Path(__file__).resolve().parents[1] / "chains"))

MANIFEST: dict[str, Any] = {
    "textmill": "0.1.0",
    "job": {"name": "support-qa", "seed": 7, "sha": "51f0c2d4a3b29e77"},
    "versions": {},
    "machine": {},
    "models": {},
    "prompts": {},
    "stages": [],
    "rows": 8,
    "stop": "quota",
    "exports": [],
}
JOB: dict[str, Any] = {"models": {}, "prompts": {}, "sources": [], "stages": [], "exports": []}


def rows(count: int = 8) -> list[Row]:
    """Rows with the columns of every format."""
    return [
        Row(
            id=f"r{index}",
            order=(index,),
            family=f"r{index}",
            data={
                "question": f"what is in room {index}?",
                "answer": f"the cat number {index}",
                "context": f"In room {index} sat the cat number {index}.",
                "text": f"the cat sat on mat {index}",
                "label": ("good", "bad")[index % 2],
                "verdict": index % 2 == 0,
                "chosen": f"the cat {index}",
                "rejected": "a dog",
                "negative": "The shop is closed.",
                "score": index / 10,
                "choices": [f"the cat number {index}", "a dog"],
            },
        )
        for index in range(count)
    ]


def exported(folder: Path, **settings: Any) -> Path:
    """The folder of an export of these rows."""
    exporter = EXPORTERS.build(settings)
    exporter.check(set(rows(1)[0].data))
    folder.mkdir()
    exporter.write(Finished(lambda: iter(rows()), MANIFEST, JOB), folder)
    return folder


def loaded(folder: Path, **settings: Any) -> Any:
    """The split `train` of an exported Hugging Face dataset."""
    import datasets

    datasets.disable_progress_bars()
    target = exported(folder / "dataset", kind="hf_dataset", **settings)
    return datasets.load_dataset(str(target), cache_dir=str(folder / "cache"))["train"]
