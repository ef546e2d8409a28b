"""The recipes of row shapes run from end to end, with scripted replies, into their exports."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.job import PROJECT, load_job
from pipelines.launch import Options, launch

FIXED = "sources.0.attributes"
REPLIES = {
    "conversations": "It depends on the day. Ask me tomorrow.",
    "reasoning": "There are 4 * 9 = 36 in them.\nThen 36 + 10 = 46 in all.\nThe answer is 46.",
    "entities": "Mara Lindqvist of Northgate Energy went to Lisbon.",
    "tools": "What will the weather be in Lisbon on Monday?",
    "records": '{"name": "Ridge Tent", "category": "outdoor", "colour": "red", "price": 25, '
    '"summary": "A lantern or sleeping bag for two people, hiking boots too."}',
    "table": '{"title": "Maps of Old Rivers", "host": "Ada Lorne"}',
    "code": '```python\ndef f(text):\n    """Return it."""\n    return text\n```',
}
SETTINGS = {
    "conversations": ["stages.1.min_relevance=null", "stages.1.exchanges=1",
                      "stages.1.min_exchanges=1"],
    "reasoning": [f"{FIXED}.few=[4]", f"{FIXED}.some=[9]"],
    "entities": [f"{FIXED}.person=[Mara Lindqvist]", f"{FIXED}.organisation=[Northgate Energy]",
                 f"{FIXED}.place=[Lisbon]"],
    "tools": ["sources.0.topics=[Lisbon]", f"{FIXED}.day=[Monday]"],
    "records": [f"{FIXED}.price=[25]", f"{FIXED}.colour=[red]"],
    "table": [],
    "code": [],
}  # fmt: skip
COLUMNS = {
    "conversations": "messages",
    "reasoning": "completion",
    "entities": "ner_tags",
    "tools": "tools",
    "records": "completion",
    "table": "host",
    "code": "output",
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_recipe_keeps_a_right_reply_and_exports_it(name: str, tmp_path: Path) -> None:
    replies = json.dumps([REPLIES[name]])
    settings = [f"models.writer={{model: scripted, replies: {replies}}}", "rows=1", "block=40"]
    if name not in ("tools", "table"):
        settings.append("exports.0.images=false")
    job = PROJECT / f"pipelines/recipes/{name}.yaml"
    loaded = load_job(job, overrides=settings + SETTINGS[name])
    loaded.check()
    launch(loaded, tmp_path / "run", Options())
    rejected = lines(tmp_path / "run/rejected.jsonl")
    assert {row["reason"] for row in rejected} & {"failed", "unusable", "missing_column"} == set()
    assert len(lines(tmp_path / "run/rows.jsonl")) == 1, [row["reason"] for row in rejected][:5]
    assert COLUMNS[name] in exported(tmp_path / "run")


def test_the_page_of_recipes_names_all_of_them() -> None:
    page = (PROJECT / "docs/recipes.md").read_text(encoding="utf-8")
    recipes = [path.stem for path in (PROJECT / "pipelines/recipes").glob("*.yaml")]
    assert [name for name in recipes if f"[{name}]" not in page] == []


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exported(run: Path) -> set[str]:
    """The columns of a run's only export."""
    if (run / "jsonl").exists():
        return set(lines(run / "jsonl/data.jsonl")[0])
    if (run / "csv").exists():
        return set((run / "csv/data.csv").read_text(encoding="utf-8").split("\r\n")[0].split(","))
    import pyarrow.parquet as pq

    [file] = (run / "dataset/data").glob("train-*.parquet")
    return set(pq.read_schema(file).names)
