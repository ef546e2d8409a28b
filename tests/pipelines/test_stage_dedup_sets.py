"""What rows are compared with beside one another: sets, columns; and what becomes of duplicates."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, outcomes, reasons, row
from jobs import files_of, job_data, launched, loaded_job, write_job

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Dedup
from prompts.errors import SourceError, UsageError

TOPICS = {"kind": "topics", "topics": ["tea", "rain", "TEA!", "bread", "maps"], "count": 40}


def built(**options: Any) -> Dedup:
    stage = STAGES.build({"kind": "dedup", "field": "text", **options})
    assert isinstance(stage, Dedup)
    return stage


def write_lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def details(stage: Dedup, *texts: str) -> list[Any]:
    """What is told of each text."""
    rows = [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]
    found = outcomes(stage, rows)
    return [dict(o.detail) if isinstance(o, Rejection) else None for o in found]


@pytest.mark.parametrize("method", ["exact", "minhash", "simhash", "substring", "rouge"])
def test_rows_are_compared_with_a_set(method: str, tmp_path: Path) -> None:
    seeds = write_lines(tmp_path / "seeds.jsonl", {"text": "Name three rivers."}, {"text": "Why?"})
    found = details(built(method=method, against=str(seeds)), "why", "When?", "WHEN")
    assert found == [
        {"twin": "2", "similarity": 1.0, "of": str(seeds)},
        None,
        {"twin": "r1", "similarity": 1.0},
    ]


def test_sets_have_names_columns_and_keys(tmp_path: Path) -> None:
    seeds = write_lines(tmp_path / "seeds.jsonl", {"n": "s7", "q": "Name three long rivers."})
    source = {"path": str(seeds), "columns": {"text": "q"}, "key": "n"}
    found = details(built(against={"seeds": source}), "Name three long river")
    assert found == [{"twin": "s7", "similarity": 0.9444, "of": "seeds"}]


def test_an_earlier_run_is_a_set(tmp_path: Path) -> None:
    first = launched(tmp_path, "one", sources=[TOPICS], stages=[])
    stage = {"kind": "dedup", "field": "topic", "against": {"one": str(tmp_path / "one")}}
    launched(tmp_path, "two", sources=[TOPICS], stages=[stage])
    rejected = read_lines(tmp_path / "two/rejected.jsonl")
    assert len(rejected) == 40
    ids = {record["id"] for record in read_lines(tmp_path / "one/rows.jsonl")}
    assert all(r["detail"]["twin"] in ids and r["detail"]["of"] == "one" for r in rejected)
    assert first.run.accepted == 40


def test_the_columns_of_a_run_can_be_renamed(tmp_path: Path) -> None:
    launched(tmp_path, "one", sources=[TOPICS], stages=[])
    source = {"path": str(tmp_path / "one/rows.jsonl"), "columns": {"text": "topic"}}
    [found] = details(built(method="exact", against={"one": source}), "bread")
    assert found["of"] == "one"


def test_a_set_that_changes_changes_the_fingerprint(tmp_path: Path) -> None:
    seeds = write_lines(tmp_path / "seeds.jsonl", {"topic": "tea"})
    stage = {"kind": "dedup", "field": "topic", "against": str(seeds)}
    loaded = loaded_job(tmp_path, stages=[stage])
    before = loaded.job.stages[0].fingerprint(loaded)
    write_lines(seeds, {"topic": "rain"})
    assert loaded.job.stages[0].fingerprint(loaded) != before
    plain = loaded_job(tmp_path, stages=[{"kind": "dedup", "field": "topic"}])
    assert plain.job.stages[0].fingerprint(plain) == ""


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("gone.jsonl", "against.gone.jsonl: no such file"),
        ({"seeds": "gone.jsonl"}, "against.seeds: no such file"),
        ({"seeds": "seeds.jsonl"}, "no column 'topic'; fix: add 'columns: {topic: NAME}'"),
        ({"seeds": {"path": "seeds.jsonl", "columns": ["topic"]}}, "no column 'topic'"),
    ],
)
def test_sets_are_checked_before_a_run(against: Any, message: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "seeds.jsonl", {"q": "Why?"})
    with pytest.raises(SourceError) as caught:
        loaded_job(tmp_path, stages=[{"kind": "dedup", "field": "topic", "against": against}])
    assert message in str(caught.value)


def test_a_run_that_goes_on_gives_the_same_bytes(tmp_path: Path) -> None:
    seeds = write_lines(tmp_path / "seeds.jsonl", {"topic": "maps"})
    stages = [{"kind": "dedup", "field": "topic", "against": str(seeds), "within_family": True}]
    changes = {"sources": [TOPICS], "stages": stages, "block": 8}
    launched(tmp_path, "whole", **changes)
    launched(tmp_path, "short", **changes)
    for name in ("rows", "rejected", "progress"):
        path = tmp_path / f"short/{name}.jsonl"
        if name == "progress":
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:2]))
    (tmp_path / "short/manifest.json").unlink()
    launched(tmp_path, "short", **changes)
    assert files_of(tmp_path / "short") == files_of(tmp_path / "whole")


def test_columns_of_earlier_rows_are_compared_with_and_never_rejected() -> None:
    rows = [
        row(id="r0", seed="Name a river.", text="Which rivers flow north?"),
        row(id="r1", seed="Name a river.", text="Name a river!"),
        row(id="r2", seed="Why?", text="Which rivers flow north?"),
        row(id="r3", seed="Who?", text="When?"),
        row(id="r4", seed="How?", text="who"),
    ]
    found = outcomes(built(method="exact", also=["seed"]), rows)
    assert reasons(found) == ["", "duplicate", "duplicate", "", "duplicate"]
    assert [dict(o.detail) for o in found if isinstance(o, Rejection)] == [
        {"twin": "r0", "similarity": 1.0, "of": "seed"},
        {"twin": "r0", "similarity": 1.0},
        {"twin": "r3", "similarity": 1.0, "of": "seed"},
    ]


@pytest.mark.parametrize(("within", "expected"), [(False, ""), (True, "duplicate")])
def test_a_row_may_repeat_its_own_column_unless_told_not_to(within: bool, expected: str) -> None:
    stage = built(method="exact", also=["seed"], within_family=within)
    assert reasons(outcomes(stage, [row(id="r0", seed="Why?", text="why")])) == [expected]


def test_the_column_of_also_is_needed() -> None:
    stage = built(also=["seed"])
    assert stage.columns_needed() == {"text", "seed"}
    assert reasons(outcomes(stage, [row(id="r0", text="why")])) == ["missing_column"]


def test_flagged_rows_stay_and_name_their_twin() -> None:
    stage = built(action="flag", threshold=0.5, bands=64).model_copy(update={"name": "flags"})
    texts = ["how many live in the old town", "how many live in the new town", "how? why?", "why"]
    rows = [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]
    kept = [o for o in outcomes(stage, rows) if isinstance(o, Row)]
    assert [r.data["duplicate_of"] for r in kept] == [None, "r0", None, None]
    [event] = kept[1].history
    assert event == {
        "stage": "flags", "reason": "near_duplicate", "twin": "r0", "similarity": 0.5625,
    }  # fmt: skip
    assert kept[0].history == ()


def test_flagging_decides_as_rejecting_does() -> None:
    texts = ["tea", "tea!", "rain", "the tea", "TEA", "rain"]
    rows = [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]
    refused = [r.detail["twin"] if isinstance(r, Rejection) else None
               for r in outcomes(built(), rows)]  # fmt: skip
    flagged = outcomes(built(action="flag", adds="twin"), rows)
    assert [o.data["twin"] for o in flagged if isinstance(o, Row)] == refused


def test_a_flagging_stage_is_named_by_its_column(tmp_path: Path) -> None:
    assert built().default_name() == "dedup"
    assert built(action="flag").default_name() == "duplicate_of"
    assert built(action="flag", adds="twin").columns_added() == {"twin"}
    assert built(adds="twin").columns_added() == set()
    data = job_data(stages=[{"kind": "dedup", "field": "topic", "action": "flag"}])
    write_job(tmp_path, data)
    assert "duplicate_of" in loaded_job(tmp_path, **data).check()


def test_semantic_says_that_it_embeds() -> None:
    assert built(method="semantic").uses_embedder()
    assert not built().uses_embedder()


def test_sets_are_read_once(tmp_path: Path) -> None:
    seeds = write_lines(tmp_path / "seeds.jsonl", {"text": "tea"})
    stage = built(against=str(seeds))
    context = FakeContext(stage)
    assert reasons(outcomes(stage, [row(id="r0", text="tea")], context)) == ["duplicate"]
    seeds.unlink()
    assert reasons(outcomes(stage, [row(id="r1", text="Tea")], context)) == ["duplicate"]


def test_a_set_needs_a_path() -> None:
    with pytest.raises(UsageError, match=r"against\.seeds\.path: missing"):
        built(against={"seeds": {"columns": ["text"]}})
