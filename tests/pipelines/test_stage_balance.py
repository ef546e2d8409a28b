import itertools
import json
import random
from pathlib import Path

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import files_of, launched

from pipelines.rows import Row
from pipelines.stages import STAGES, Balance, Bias, SwapGroups
from pipelines.stages.safety.bias_report import bias_report
from pipelines.stages.safety.group_terms import mentions
from pipelines.stages.safety.swapping import swap_forms, swap_gender
from prompts.errors import UsageError

LABELS = {"kind": "balance", "per": {"topic": ["a", "b"]}}


def test_every_cell_gets_its_number_in_order() -> None:
    stage = Balance(per={"label": ("x", "y")}, each=2)
    rows = [row(id=f"r{i}", label=label) for i, label in enumerate("xxxyxzy")]
    assert reasons(outcomes(stage, rows)) == [
        "", "", "cell_full", "", "cell_full", "no_cell", "",
    ]  # fmt: skip


def test_combinations_are_cells_and_other_types_are_other_values() -> None:
    stage = Balance(per={"label": (True, False), "size": (1, "1")}, each=1)
    values = [*itertools.product([True, False], [1, "1"]), (1, 1), (True, 1)]
    rows = [row(id=f"r{i}", label=a, size=b) for i, (a, b) in enumerate(values)]
    assert reasons(outcomes(stage, rows)) == ["", "", "", "", "no_cell", "cell_full"]
    assert reasons(outcomes(stage, [row(label=True)])) == ["missing_column"]


@pytest.mark.parametrize("total", range(3, 40))
def test_shares_of_a_total_are_exact(total: int) -> None:
    stage = Balance(per={"label": {"a": 3, "b": 1}, "region": ("n", "s")})
    wanted = stage.wanted(total)
    assert sum(wanted.values()) == total
    for cell, weight in stage.weights().items():
        assert abs(wanted[cell] - total * weight / 8) < 1


def test_a_run_ends_with_exactly_the_rows_of_each_cell(tmp_path: Path) -> None:
    """Whatever the blocks: rows that are wanted come late, and the run goes on for them."""
    topics = {"a": 9, "b": 1, "c": 2}
    source = {"kind": "topics", "topics": topics}
    stages = [{"kind": "balance", "per": {"topic": {"a": 1, "b": 2}}}]
    runs = []
    for block in (4, 32):
        done = launched(
            tmp_path, f"run{block}", rows=12, sources=[source], stages=stages, block=block
        )
        assert done.run.stop == "quota"
        runs.append(files_of(done.folder)["rows.jsonl"])
    assert runs[0] == runs[1]
    text = runs[0].decode()
    assert (text.count('"topic":"a"'), text.count('"topic":"b"')) == (4, 8)


def test_a_shortfall_is_told(tmp_path: Path) -> None:
    source = {"kind": "topics", "topics": ["a", "c"]}
    budget = {"seeds_per_row": 5}
    done = launched(tmp_path, rows=6, sources=[source], stages=[LABELS], budget=budget)
    assert done.run.stop == "budget: seeds"
    manifest = files_of(done.folder)["manifest.json"].decode()
    cells = [{"cell": "a", "wanted": 3, "rows": 3}, {"cell": "b", "wanted": 3, "rows": 0}]
    assert json.loads(manifest)["reports"] == {"balance": {"cells": cells, "short": 3}}


def test_what_cells_hold_survives_a_resume() -> None:
    stage = Balance(per={"label": ("x", "y")}, each=3)
    draw = random.Random(1)
    rows = [row(id=f"r{i}", label=draw.choice("xy")) for i in range(12)]
    whole = reasons(outcomes(stage, rows))
    first, second = FakeContext(stage), FakeContext(stage)
    begun = reasons(outcomes(stage, rows[:5], first))
    second.state.restore(first.state.additions())
    assert first.state.additions() == second.state.additions() == []
    assert begun + reasons(outcomes(stage, rows[5:], second)) == whole


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        ({"per": {}}, 1, "at least 1"),
        ({"per": {"label": []}}, 1, "there are no values"),
        ({"per": {"label": ["a", "a"]}}, 1, "named twice"),
        ({"per": {"label": {"a": 0}}}, 1, "weights are whole numbers from 1 on"),
        ({"per": {"label": ["a", "b"]}}, None, "nothing says how many"),
        ({"per": {"label": ["a", "b"]}}, 1, "too few for 2 cells"),
    ],
)
def test_impossible_settings_are_refused(
    options: dict[str, object], rows: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "balance", **options}, key="stages.0").check(FakeJob(rows=rows))


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("He met her.", {"gender": {"male", "female"}}),
        ("An American rabbi's sister", {
            "nationality": {"american"}, "religion": {"jewish"}, "gender": {"female"},
        }),
        ("We ate turkey from china.", {}),
        ("Turkey and China", {"nationality": {"turkish", "chinese"}}),
        ("black coffee, white walls", {}),
        ("black people and white men", {"ethnicity": {"black", "white"}, "gender": {"male"}}),
        ("the hero of the others", {"gender": {"male"}}),
    ],
)  # fmt: skip
def test_groups_are_named_by_words(text: str, groups: dict[str, set[str]]) -> None:
    assert mentions(text) == groups


def test_counts_by_label_and_gaps_are_exact() -> None:
    texts = [("She came.", "bad")] * 6 + [("She came.", "good")] * 2
    texts += [("He came.", "bad")] * 2 + [("He came.", "good")] * 8 + [("It rained.", "good")]
    rows = [row(id=f"r{i}", text=text, label=label) for i, (text, label) in enumerate(texts)]
    report = bias_report(rows, label="label")
    assert report["rows"] == 19
    assert report["labels"] == {"bad": 8, "good": 11}
    assert report["groups"] == [
        {"category": "gender", "group": "female", "rows": 8, "labels": {"bad": 6, "good": 2}},
        {"category": "gender", "group": "male", "rows": 10, "labels": {"bad": 2, "good": 8}},
    ]
    gaps = [(gap["label"], gap["most"], gap["least"], gap["gap"]) for gap in report["gaps"]]
    assert gaps == [("bad", "female", "male", 0.55), ("good", "male", "female", 0.55)]
    assert report["gaps"][0]["p"] == pytest.approx(0.053613, abs=1e-6)


def test_own_terms_are_counted_and_rows_pass_unchanged() -> None:
    stage = Bias(fields=("text",), terms={"job": {"nurse": ("nurse", "nurses")}}, adds="groups")
    [kept] = outcomes(stage, [row(text="Nurses help him.", other="She")])
    assert isinstance(kept, Row)
    assert kept.data["groups"] == {"gender": ["male"], "job": ["nurse"]}
    [entry, other] = stage.report([kept], None)["groups"]
    assert (entry["group"], other["group"]) == ("male", "nurse")
    plain = Bias()
    assert outcomes(plain, [row(text="He")]) == [row(text="He")]


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He lost his keys, and I called him.", "She lost her keys, and I called her."),
        ("Her dog saw her.", "His dog saw him."),
        ("I told her that the car was his.", "I told him that the car was hers."),
        ("HER mother met Mr Lee.", "HIS father met Ms Lee."),
        ("An actress and a waiter", "An actor and a waitress"),
        ("Other theories", "Other theories"),
    ],
)  # fmt: skip
def test_women_and_men_are_exchanged(text: str, swapped: str) -> None:
    assert swap_gender(text) == swapped


def test_articles_follow_the_word_that_comes_in() -> None:
    assert swap_forms("An American, a european", "nationality", "american", "german") == (
        "A German, a european"
    )
    assert swap_forms("a Muslim at a mosque", "religion", "muslim", "jewish") == (
        "a Jewish at a synagogue"
    )
    assert swap_forms("A German", "nationality", "german", "ukrainian") == "A Ukrainian"


def test_variants_are_rows_of_the_family() -> None:
    stage = SwapGroups(field="text", groups=("gender", "nationality"), variants=2)
    rows = [row(id="r1", text="He met an American.", label=1), row(id="r2", text="It rained.")]
    results = outcomes(stage, rows)
    assert len(results) == 5
    assert [r.family for r in results] == ["r1"] * 4 + ["r2"]  # type: ignore[union-attr]
    texts = [r.data["text"] for r in results]  # type: ignore[union-attr]
    assert texts[:2] == ["He met an American.", "She met an American."]
    assert len(set(texts)) == 5
    assert results == outcomes(stage, rows)
    event = results[2].history[-1]  # type: ignore[union-attr]
    assert (event["category"], event["from"], event["parent"]) == ("nationality", "american", "r1")
    with pytest.raises(UsageError, match="unknown category 'sex'"):
        STAGES.build({"kind": "swap_groups", "field": "text", "groups": ["sex"]}, key="stages.0")
