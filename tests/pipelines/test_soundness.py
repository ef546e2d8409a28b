"""What is no JSON rejects its row, wherever a plugin gives it out; the run goes on."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from command_line import textmill
from fakes import row
from hypothesis import given
from hypothesis import strategies as st
from jobs import SEEDS, job_data, write_job

from pipelines.files import read_jsonl
from pipelines.rows import Outcome, Rejection, Row, canonical
from pipelines.soundness import MAX_DEPTH, flaw, sound
from pipelines.sources import SOURCES, Seed, Source, SourceView
from pipelines.stages import STAGES, Context, Map, ModelStage, Work


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def loop() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


DEEP = f"a value nested more than {MAX_DEPTH} deep"
FLAWS = {
    "bytes": (b"x", "a value of type bytes"),
    "date": (datetime.date(2020, 1, 1), "a value of type date"),
    "set": ({1}, "a value of type set"),
    "nan": (float("nan"), "nan"),
    "infinite": (float("-inf"), "-inf"),
    "half": ("a\ud800", "half of a character"),
    "half in a key": ({"\udfff": 1}, "half of a character"),
    "key": ({1: 2}, "a key of type int"),
    "deep": (nested(100_000), DEEP),
    "loop": (loop(), DEEP),
    "huge": (10**5000, "a whole number of 16610 bits"),
    "inside": ({"a": [1, {"b": (b"x",)}]}, "a value of type bytes"),
}


@pytest.mark.parametrize(("value", "found"), FLAWS.values(), ids=FLAWS.keys())
def test_what_is_no_json_is_named(value: Any, found: str) -> None:
    assert flaw(value) == found


@pytest.mark.parametrize(
    "value", [None, True, 2**70, 10**3000, -0.0, "", "\u2028\x00", (1, "x"), {"a": {"b": []}}]
)
def test_json_has_no_flaw(value: Any) -> None:
    assert flaw(value) == ""
    assert flaw(nested(MAX_DEPTH)) == ""


def test_the_largest_number_and_the_deepest_value_are_json() -> None:
    assert flaw(2**9_999) == flaw(-(2**9_999)) == ""
    assert flaw(2**10_000) == "a whole number of 10001 bits"
    assert flaw({"column": nested(50)}) == ""
    assert flaw({"column": nested(51)}) == "a value nested more than 50 deep"


def test_halves_of_characters_pass_where_they_are_mended_afterwards() -> None:
    halves = {"\udfff": ["a\ud800"]}
    assert flaw(halves) == "half of a character"
    assert flaw(halves, halves=False) == ""
    assert flaw({"\udfff": {1: 2}}, halves=False) == "a key of type int"
    assert flaw("\ud7ff\ue000\U0001f9f5") == ""


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.characters(),
    lambda inner: st.lists(inner) | st.dictionaries(st.characters() | st.integers(), inner),
)


@given(value=ANYTHING)
def test_what_has_no_flaw_is_written_and_read_again(value: Any) -> None:
    if not flaw(value):
        assert json.loads(canonical(value).encode()) == value


def test_only_what_a_stage_changed_is_looked_at() -> None:
    known = row({"old": b"x", "text": "a"})
    kept, changed = known.with_data({"text": "b"}), known.with_data({"new": b"y"})
    assert sound([known, kept], [known]) == [known, kept]
    [rejection] = sound([changed], [known])
    assert rejection == Rejection(
        known,
        "failed",
        {"error": "ValueError", "message": "column 'new': a value of type bytes is not JSON"},
    )


def test_of_a_history_only_what_a_stage_added_is_looked_at() -> None:
    known = Row("one", (0,), "f", {"a": 1}, ({"at": b"x"},))
    longer = Row("one", (0,), "f", {"a": 1}, (*known.history, {"stage": "s"}))
    spoiled = Row("one", (0,), "f", {"a": 1}, (*known.history, {"stage": {1}}))
    created = Row("new", (0, 1), "f", {"a": 1}, ({"stage": {1}},))
    assert sound([longer], [known]) == [longer]
    for made in (spoiled, created):
        [rejection] = sound([made], [known])
        assert isinstance(rejection, Rejection)
        assert rejection.detail["message"] == "its history: a value of type set is not JSON"


def test_a_row_that_was_spoiled_and_then_rejected_is_rejected_as_failed() -> None:
    known = row({"text": "a"})
    [rejection] = sound([Rejection(known.with_data({"new": b"y"}), "odd", {"at": 1})], [known])
    assert isinstance(rejection, Rejection)
    assert (rejection.row, rejection.reason) == (known, "failed")
    assert rejection.detail["message"] == "column 'new': a value of type bytes is not JSON"


def test_a_created_row_is_rejected_without_what_cannot_be_written() -> None:
    event = {"stage": "x"}
    child = Row("new", (0, 1), "f", {"good": 1, "bad": {1}}, (event, {"at": b"x"}))
    [rejection] = sound([child], [row({"good": 1})])
    assert isinstance(rejection, Rejection)
    assert (rejection.row.data, rejection.row.history) == ({"good": 1}, (event,))
    assert rejection.detail["message"] == "column 'bad': a value of type set is not JSON"


def test_the_evidence_of_a_rejection_is_json_too() -> None:
    known = row({"text": "a"})
    fine = Rejection(known, "odd", {"at": 1})
    assert sound([fine], [known]) == [fine]
    [rejection] = sound([Rejection(known, "odd", {"at": {1}})], [known])
    assert isinstance(rejection, Rejection)
    assert rejection.detail["message"] == "its detail: a value of type set is not JSON"


@STAGES.register
class Spoils(Map):
    """Gives the third row a value of FLAWS, or no row at all."""

    kind: Literal["spoils"] = "spoils"
    how: str

    def apply(self, row: Row) -> Outcome:
        if row.order != (2,):
            return row
        return row.with_data({"x": FLAWS[self.how][0]}) if self.how else None  # type: ignore[return-value]


@STAGES.register
class GivesNothing(ModelStage):
    """Asks nothing, and gives nothing for the third row."""

    kind: Literal["gives_nothing"] = "gives_nothing"

    def work(self, row: Row, context: Context) -> Work:
        yield from ()
        return [None] if row.order == (2,) else [row]  # type: ignore[list-item]


def run(folder: Path, **changes: Any) -> list[Any]:
    """The rejections of a run, whose other rows must all be there."""
    write_job(folder, job_data(**{"rows": None, "exports": [{"kind": "jsonl"}], **changes}))
    ended = textmill(folder, "run", "job.yaml", "--out", "run")
    assert (ended.code, ended.err) == (0, "")
    rejected = list(read_jsonl(folder / "run/rejected.jsonl"))
    assert len(list(read_jsonl(folder / "run/rows.jsonl"))) + len(rejected) == len(SEEDS)
    return rejected


@pytest.mark.parametrize("how", FLAWS)
def test_a_row_that_a_stage_spoils_is_rejected_alone(how: str, tmp_path: Path) -> None:
    [record] = run(tmp_path, stages=[{"kind": "spoils", "how": how}])
    assert (record["stage"], record["reason"], record["order"]) == ("spoils", "failed", "2")
    assert record["detail"]["message"] == f"column 'x': {FLAWS[how][1]} is not JSON"
    assert "x" not in record["data"]


@pytest.mark.parametrize("stage", [{"kind": "spoils", "how": ""}, {"kind": "gives_nothing"}])
def test_a_row_that_a_stage_gives_nothing_for_is_rejected_alone(
    stage: dict[str, str], tmp_path: Path
) -> None:
    [record] = run(tmp_path, stages=[stage])
    assert (record["reason"], record["order"]) == ("failed", "2")
    assert record["detail"]["message"] == "the stage gave NoneType, not a row or rejection"


@SOURCES.register
class Odd(Source):
    """Gives as many seeds as the usual job has, one of them spoiled."""

    kind: Literal["odd"] = "odd"
    how: str

    def columns(self, view: SourceView) -> set[str]:
        return {"topic", "v"}

    def fingerprint(self, view: SourceView) -> str:
        return self.how

    def read(self, view: SourceView) -> Iterator[Seed]:
        for number in range(len(SEEDS)):
            value = FLAWS[self.how][0] if number == 2 else "x"
            yield Seed({"topic": f"t{number}", "v": value}, str(number))


@pytest.mark.parametrize("how", [how for how in FLAWS if not how.startswith("half")])
def test_a_seed_that_a_source_spoils_is_rejected_alone(how: str, tmp_path: Path) -> None:
    [record] = run(tmp_path, sources=[{"kind": "odd", "how": how}], stages=[])
    assert (record["stage"], record["reason"]) == ("source:odd", "not_json")
    assert record["detail"]["found"] == FLAWS[how][1]


def test_a_record_nested_beyond_recursion_is_rejected_alone(tmp_path: Path) -> None:
    records = [
        f'{{"v": {value}}}' for value in ("1", "[" * 900 + "]" * 900, *range(len(SEEDS) - 2))
    ]
    (tmp_path / "deep.jsonl").write_text("\n".join(records))
    source = {"kind": "records", "path": str(tmp_path / "deep.jsonl")}
    [record] = run(tmp_path, sources=[source], stages=[])
    assert (record["reason"], record["detail"]["found"]) == ("not_json", f"column 'v': {DEEP}")


def test_whole_numbers_beyond_64_bits_come_through_a_run(tmp_path: Path) -> None:
    values = [2**63, 2**64, 2**70, 10**400, *range(len(SEEDS) - 4)]
    (tmp_path / "n.jsonl").write_text("".join(f'{{"v": {value}}}\n' for value in values))
    assert (
        run(tmp_path, sources=[{"kind": "records", "path": str(tmp_path / "n.jsonl")}], stages=[])
        == []
    )
    exported = (tmp_path / "run/jsonl/data.jsonl").read_text().splitlines()
    assert [json.loads(line)["v"] for line in exported] == values
