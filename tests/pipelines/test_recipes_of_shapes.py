"""The recipes of row shapes run from end to end, with scripted replies, into their exports."""

import json
from pathlib import Path
from typing import Any

import pytest
import regex
import yaml

from pipelines.job import PROJECT, load_job
from pipelines.launch import Options, launch

FIXED = "sources.0.attributes"
TASK = "Explain the benefits of the tide."
EVOLVED = "Explain the benefits of the tide for people on boats."
QUERY = "What are some ways to lift a boat?"
LIFTED = "The tide lifts a boat because the water that it floats on rises with the moon."
ASKED = "How many cars does the Skarn ferry take?"
TOLD = "The ferry to Skarn takes 40 cars."
REPLIES = {
    "conversations": "It depends on the day. Ask me tomorrow.",
    "reasoning": "There are 4 * 9 = 36 in them.\nThen 36 + 10 = 46 in all.\nThe answer is 46.",
    "entities": "Mara Lindqvist of Northgate Energy went to Lisbon.",
    "tools": "What will the weather be in Lisbon on Monday?",
    "records": '{"name": "Ridge Tent", "category": "outdoor", "colour": "red", "price": 25, '
    '"summary": "A lantern or sleeping bag for two people, hiking boots too."}',
    "table": '{"title": "Maps of Old Rivers", "host": "Ada Lorne"}',
    "code": '```python\ndef f(text):\n    """Return it."""\n    return text\n```',
    "taxonomy": "rivers\nlakes\nsprings\nwells",
    "personas": "Why does a nurse of 34, when she comes home from the ward, sleep so badly?",
    "instructions": TASK,
    "self_instruct": TASK,
    "evolve": EVOLVED,
    "magpie": QUERY,
    "demo": ASKED,
    "grounded_qa": ASKED,
    "multihop_qa": ASKED,
    "retrieval_triplets": ASKED,
    "summaries": TOLD,
    "scored_pairs": "Somebody with two suitcases is waiting for a bus in the rain.",
    "step_labels": "There are 4 * 5 = 20 in them.\nThen 6 + 20 = 26 in all.\nThe answer is 26.",
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
    "taxonomy": ["sources.0.topics=[water]", "sources.0.balance=[]", "sources.0.count=1"],
    "personas": ["quota=null", "sources.0.columns.subject=[sleep]",
                 "sources.0.columns.occupation=[nurse]"],
    "instructions": [],
    "self_instruct": [],
    "evolve": ["stages.3.min_share=0"],
    "magpie": [],
    "demo": [],
    "grounded_qa": [],
    "multihop_qa": [],
    "retrieval_triplets": [],
    "summaries": [],
    "scored_pairs": [],
    "step_labels": [f"{FIXED}.few=[4]", f"{FIXED}.some=[6]", "stages.4.per.correct=[true]"],
}  # fmt: skip
COLUMNS = {
    "conversations": "messages",
    "reasoning": "completion",
    "entities": "ner_tags",
    "tools": "tools",
    "records": "completion",
    "table": "host",
    "code": "output",
    "taxonomy": "path",
    "personas": "question",
    "instructions": "messages",
    "self_instruct": "messages",
    "evolve": "messages",
    "magpie": "messages",
    "demo": "completion",
    "grounded_qa": "citations",
    "multihop_qa": "bridge",
    "retrieval_triplets": "negative",
    "summaries": "completion",
    "scored_pairs": "score",
    "step_labels": "labels",
}
DOCUMENTS = {
    "ferry.md": "The ferry to Skarn takes 40 cars, and it leaves the old pier at nine on weekdays. "
    "Dogs travel free with it, and bicycles stand on deck.\n",
    "island.md": "A trip with the Skarn ferry is nine pounds; it takes 40 cars to the island.\n",
    "clocks.md": "The museum of clocks is open on Sundays, when the ferry rests.\n",
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_recipe_keeps_a_right_reply_and_exports_it(name: str, tmp_path: Path) -> None:
    replies = json.dumps([REPLIES[name]])
    settings = [f"models.writer={{model: scripted, replies: {replies}}}", "rows=1", "block=40"]
    job = PROJECT / f"pipelines/recipes/{name}.yaml"
    if "hf_dataset" in job.read_text(encoding="utf-8"):
        settings.append("exports.0.images=false")
    settings += surroundings(job, tmp_path)
    loaded = load_job(job, overrides=settings + SETTINGS[name])
    loaded.check()
    launch(loaded, tmp_path / "run", Options())
    rejected = lines(tmp_path / "run/rejected.jsonl")
    assert {row["reason"] for row in rejected} & {"failed", "unusable", "missing_column"} == set()
    assert len(lines(tmp_path / "run/rows.jsonl")) == 1, [row["reason"] for row in rejected][:5]
    assert COLUMNS[name] in exported(tmp_path / "run")


def test_a_summary_that_joins_halves_of_two_sentences_is_refused(tmp_path: Path) -> None:
    job = PROJECT / "pipelines/recipes/summaries.yaml"
    joined = "Dogs travel free and leave the old pier at nine on weekdays."
    loaded = load_job(job, overrides=[
        f"models.writer={{model: scripted, replies: [{joined}]}}", "rows=1", "block=40",
        "exports=[]", *surroundings(job, tmp_path),
    ])  # fmt: skip
    launch(loaded, tmp_path / "run", Options(keep_going=True))
    assert lines(tmp_path / "run/rows.jsonl") == []
    refused = [row for row in lines(tmp_path / "run/rejected.jsonl") if "summary" in row["data"]]
    assert {(row["stage"], row["reason"]) for row in refused} == {
        ("first_of_one_sentence", "too_long")
    }


@pytest.mark.parametrize(
    ("exchange", "kept"),
    [
        ("How many cars does the ferry take? The ferry takes 40 cars.", True),
        ("How many cars does the ferry take? The ferry takes ten cars.", True),
        ("How many cars does the ferry take? The ferry takes cars from the pier.", False),
        ("How often does the ferry leave? The ferry leaves once an hour.", True),
        ("How often does the ferry leave? The ferry leaves from the pier.", False),
        ("How many times does it leave? It leaves for six weeks.", False),
        ("How much does a trip cost? A trip costs nine pounds.", True),
        ("How much does a trip cost? A trip costs nine nerves.", False),
        ("When does the ferry leave? The ferry leaves at 9:15.", True),
        ("When does the ferry leave? The ferry leaves in April.", True),
        ("When does the ferry leave? The ferry leaves the pier.", False),
        ("Who steers the ferry? Mara Lind steers the ferry.", True),
        ("Who steers the ferry? Nobody steers the ferry.", False),
        ("How many cars does the Skarn take? The Skarn takes 40 cars.", True),
        ("How many cars does the Skarn take? The Otter takes 40 cars.", False),
    ],
)
@pytest.mark.parametrize("name", ["demo", "grounded_qa", "retrieval_triplets"])
def test_a_recipe_keeps_answers_of_the_kind_that_is_asked_for(
    name: str, exchange: str, kept: bool
) -> None:
    job = PROJECT / f"pipelines/recipes/{name}.yaml"
    stages = yaml.safe_load(job.read_text(encoding="utf-8"))["stages"]
    [gate] = [stage for stage in stages if stage.get("name") == "of_that_kind"]
    assert kept is not any(regex.search(pattern, exchange) for pattern in gate["forbid"])


def test_the_page_of_recipes_names_all_of_them() -> None:
    page = (PROJECT / "docs/recipes.md").read_text(encoding="utf-8")
    recipes = [path.stem for path in (PROJECT / "pipelines/recipes").glob("*.yaml")]
    assert [name for name in recipes if f"[{name}]" not in page] == []


def surroundings(job: Path, folder: Path) -> list[str]:
    """Settings that give a recipe our documents, another model for its answers, and wide bounds.

    A scripted model tells a log-probability of -2 for each token, and the scripted embedder knows
    letters alone.
    """
    data = yaml.safe_load(job.read_text(encoding="utf-8"))
    wide = {"likelihood": "min_mean=-3", "perplexity": "max=9", "related": "min_similarity=-1"}
    wide["hard_negatives"] = "margin=null"
    wide["similarity"] = "min=-0.99"
    settings = []
    for part, each in [("sources.0", data["sources"][0])] + [
        (f"stages.{at}", stage) for at, stage in enumerate(data["stages"])
    ]:
        if each.get("path") == "examples/handbook":
            settings.append(f"{part}.path={folder / 'documents'}")
        if "/answer" in each.get("prompt", "") and each["kind"] == "generate":
            settings.append(
                f"{part}.model={'talker' if each['adds'] == 'response' else 'answerer'}"
            )
        if each["kind"] in wide:
            settings.append(f"{part}.{wide[each['kind']]}")
    for name, said in (("answerer", TOLD), ("talker", LIFTED)):
        if any(setting.endswith(f"={name}") for setting in settings):
            settings.append(f"models.{name}={{model: scripted, replies: [{said}]}}")
    documents = data["sources"][0]["kind"] == "documents"
    if documents or any(each["kind"] == "similarity" for each in data["stages"]):
        settings.append("embedder=scripted")
    if documents:
        (folder / "documents").mkdir()
        for name, text in DOCUMENTS.items():
            (folder / "documents" / name).write_text(text, encoding="utf-8")
    return settings


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
