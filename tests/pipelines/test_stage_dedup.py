import random
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import FakeContext, outcomes, reasons, row
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.embedding.scripted import ScriptedEmbedder
from pipelines.normalising import normalised
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Dedup
from pipelines.stages.dedup import minhash, seen
from pipelines.stages.dedup.index import Array
from pipelines.stages.dedup.shingling import jaccard, shingles
from pipelines.stages.dedup.sketches import Sketch, Sketches
from pipelines.stages.dedup.stage import THRESHOLDS
from prompts.errors import UsageError


def rows_of(texts: list[str]) -> list[Row]:
    return [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]


def twins(results: list[Outcome]) -> list[int | None]:
    """For each row the number of the row it duplicates."""
    return [int(r.detail["twin"][1:]) if isinstance(r, Rejection) else None for r in results]


def twins_by_brute_force(stage: Dedup, texts: list[str]) -> list[int | None]:
    kept: dict[int, set[str]] = {}
    found: list[int | None] = []
    for number, text in enumerate(texts):
        own = shingles(normalised(text), stage.ngram, stage.unit)
        alike = (n for n, other in kept.items() if jaccard(own, other) >= stage.threshold)
        found.append(next(alike, None))
        if found[-1] is None:
            kept[number] = own
    return found


def sentences_with_edits(count: int, seed: int) -> list[str]:
    """Random sentences, half of them copies of others with up to four words changed."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 8))) for _ in range(400)]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 30))) for _ in range(count // 2)]
    for text in list(texts):
        edited = text.split()
        for _ in range(draw.randint(0, 4)):
            edited[draw.randrange(len(edited))] = draw.choice(words)
        texts.append(" ".join(edited))
    draw.shuffle(texts)
    return [*texts, texts[0].upper()]


def test_exact_keeps_the_first_and_names_it() -> None:
    texts = ["When?", "Why?", "  WHEN ", "when? now", "why"]
    results = outcomes(Dedup(field="text", method="exact"), rows_of(texts))
    assert reasons(results) == ["", "", "duplicate", "", "duplicate"]
    assert twins(results) == [None, None, 0, None, 1]


def test_without_normalisation_only_the_same_bytes_are_the_same() -> None:
    results = outcomes(
        Dedup(field="text", method="exact", normalise=False), rows_of(["A", "a", "A"])
    )
    assert reasons(results) == ["", "", "duplicate"]


def test_near_duplicates_are_rejected_with_their_true_similarity() -> None:
    first, second = "how many people live in the old town", "how many people live in the new town"
    stage = Dedup(field="text", threshold=0.6)
    results = outcomes(stage, rows_of([first, second, "how many people live in the old town!"]))
    assert reasons(results) == ["", "near_duplicate", "duplicate"]
    similarity = jaccard(shingles(first, 5, "chars"), shingles(second, 5, "chars"))
    assert isinstance(results[1], Rejection)
    assert results[1].detail == {"twin": "r0", "similarity": round(similarity, 4)}
    assert reasons(outcomes(Dedup(field="text", threshold=0.9), rows_of([first, second]))) == [
        "",
        "",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.8},
        {"threshold": 0.6, "bands": 64},
        {"threshold": 0.5, "bands": 64},
        {"threshold": 0.5, "bands": 64, "unit": "words", "ngram": 1},
        {"threshold": 0.9, "bands": 16, "ngram": 3},
    ],
)
def test_minhash_finds_what_comparing_all_pairs_finds(options: dict[str, object]) -> None:
    stage = STAGES.build({"kind": "dedup", "field": "text", **options})
    assert isinstance(stage, Dedup)
    texts = sentences_with_edits(1_000, seed=1)
    expected = twins_by_brute_force(stage, texts)
    found = twins(outcomes(stage, rows_of(texts)))
    rejected = [number for number, twin in enumerate(expected) if twin is not None]
    assert len(rejected) > 100  # else the test would prove nothing
    differing = [n for n, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    assert len(differing) <= len(rejected) // 100  # hashing may miss a pair, rarely
    for number, twin in enumerate(found):  # but never claims one that is none
        if twin is not None:
            pair = (shingles(normalised(texts[n]), stage.ngram, stage.unit) for n in (number, twin))
            assert jaccard(*pair) >= stage.threshold


@given(st.lists(st.text(alphabet="ab .", max_size=12), max_size=30))
@settings(max_examples=60)
def test_short_texts_agree_with_brute_force(texts: list[str]) -> None:
    stage = Dedup(field="text", threshold=0.9, bands=64, num_perm=64)
    assert twins(outcomes(stage, rows_of(texts))) == twins_by_brute_force(stage, texts)


METHODS: list[dict[str, object]] = [
    {"method": "exact"},
    {"method": "minhash", "threshold": 0.6, "bands": 64},
    {"method": "simhash", "distance": 7},
    {"method": "simhash", "distance": 12},
    {"method": "substring", "span": 5},
    {"method": "rouge", "threshold": 0.6},
    {"method": "semantic", "threshold": 0.8},
    {"method": "semantic", "threshold": 0.8, "exact_up_to": 100},
]


class Embedding(FakeContext):
    """A context with the scripted embedder, whose vectors are near for texts that are."""

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return ScriptedEmbedder().encode(texts)


def stage_of(options: dict[str, object]) -> Dedup:
    stage = STAGES.build({"kind": "dedup", "field": "text", **options})
    assert isinstance(stage, Dedup)
    return stage


@pytest.mark.parametrize("options", METHODS, ids=str)
@pytest.mark.parametrize("block", [1, 7, 64])
def test_the_blocks_decide_nothing(options: dict[str, object], block: int) -> None:
    texts = sentences_with_edits(300, seed=2)
    stage = stage_of(options)
    context, found = Embedding(stage), []
    rows = rows_of(texts)
    for start in range(0, len(rows), block):
        found += outcomes(stage, rows[start : start + block], context)
    whole = outcomes(stage, rows, Embedding(stage))
    assert found == whole
    assert len(set(reasons(whole))) == (2 if options["method"] == "exact" else 3)


@pytest.mark.parametrize("options", METHODS, ids=str)
def test_a_restored_memory_goes_on_where_it_stopped(options: dict[str, object]) -> None:
    stage = stage_of(options)
    rows = rows_of(sentences_with_edits(400, seed=3) * 2)
    whole = outcomes(stage, rows, Embedding(stage))
    context, committed = Embedding(stage), []
    for start in (0, 100, 200):
        outcomes(stage, rows[start : start + 100], context)
        committed += context.state.additions()
    assert context.state.additions() == []
    resumed = Embedding(stage)
    for addition in (committed[:150], committed[150:]):
        resumed.state.restore(addition)
    assert resumed.state.additions() == []
    assert outcomes(stage, rows[300:], resumed) == whole[300:]


def test_additions_are_the_kept_rows_as_plain_data() -> None:
    stage = Dedup(field="text", method="exact")
    context = FakeContext(stage)
    outcomes(stage, [row(id="r1", family="f", text="A!"), row(id="r2", text="a")], context)
    assert context.state.additions() == [["r1", "f", "a", ""]]


@pytest.mark.parametrize("method", [*THRESHOLDS, "exact", "simhash", "substring"])
@pytest.mark.parametrize(
    ("families", "within", "expected"),
    [
        (["f", "f"], False, ["", ""]),
        (["f", "f"], True, ["", "duplicate"]),
        (["f", "g"], False, ["", "duplicate"]),
        (["f", "f+g"], False, ["", ""]),
        (["f+h", "g+h"], False, ["", ""]),
        (["f", "f", "g"], False, ["", "", "duplicate"]),
        (["f", "ff"], False, ["", "duplicate"]),
    ],
)
def test_a_family_may_repeat_itself(
    method: str, families: list[str], within: bool, expected: list[str]
) -> None:
    stage = Dedup.model_validate({"field": "text", "method": method, "within_family": within})
    rows = [row(id=f"r{i}", family=f, text="same again") for i, f in enumerate(families)]
    assert reasons(outcomes(stage, rows)) == expected


def test_variants_of_one_row_are_compared_with_other_rows() -> None:
    families = ["f", "f", "g"]
    texts = ["the old town by the sea", "the old towns by the sea", "the old towns by the sea."]
    rows = [
        row(id=f"r{i}", family=f, text=t)
        for i, (f, t) in enumerate(zip(families, texts, strict=True))
    ]
    results = outcomes(Dedup(field="text", threshold=0.6), rows)
    assert twins(results) == [None, None, 1]


def test_several_columns_are_one_text() -> None:
    rows = [
        row(id="r0", question="Why?", answer="So."),
        row(id="r1", question="Why?", answer="No."),
        row(id="r2", question="why", answer="so"),
        row(id="r3", question="Why? So.", answer="No."),
        row(id="r4", question="Why?", answer="So no."),
    ]
    stage = Dedup(field=("question", "answer"), method="exact")
    assert reasons(outcomes(stage, rows)) == ["", "", "duplicate", "", ""]


def test_other_values_are_compared_as_json() -> None:
    rows = [row(id=f"r{i}", text=value) for i, value in enumerate([[1, 2], [1, 2], {"a": 1}, None])]
    assert reasons(outcomes(Dedup(field="text", method="exact"), rows)) == ["", "duplicate", "", ""]


def test_rows_without_the_column_are_rejected_and_not_remembered() -> None:
    rows = [row(id="r0"), row(id="r1", text=""), row(id="r2", text="")]
    results = outcomes(Dedup(field="text"), rows)
    assert reasons(results) == ["missing_column", "", "duplicate"]


def test_a_crowded_bucket_stays_exact() -> None:
    """Texts that share a long beginning fall into one bucket; few of them are alike enough."""
    draw = random.Random(4)
    stem = "write a short and friendly product review of about one hundred words about a "
    texts = [stem + "".join(draw.choices("abcdefghij", k=30)) for _ in range(2_000)]
    texts += [texts[1_500] + "x", texts[7]]
    stage = Dedup(field="text", threshold=0.9)
    found = twins(outcomes(stage, rows_of(texts)))
    assert found == [None] * 2_000 + [1_500, 7]


def test_a_crowd_costs_each_row_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counting(first: set[str], second: set[str]) -> float:
        nonlocal compared
        compared += 1
        return jaccard(first, second)

    monkeypatch.setattr(minhash, "jaccard", counting)
    draw = random.Random(6)
    stem = "write a short and friendly product review of about one hundred words about a "
    texts = [stem + "".join(draw.choices("abcdefghij", k=30)) for _ in range(2_000)]
    outcomes(Dedup(field="text", threshold=0.9), rows_of([*texts, texts[3] + "x"]))
    assert 1 <= compared <= 2_000  # all with all would be two million


def of_one_frame(count: int, seed: int) -> list[str]:
    """Texts of a template of forty words, which differ in six to nineteen at its end."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 8))) for _ in range(300)]
    frame = " ".join(draw.choices(words, k=40))
    return [
        f"{frame} {' '.join(draw.choices(words, k=draw.randrange(6, 20)))}" for _ in range(count)
    ]


@pytest.mark.parametrize("block", [5, 300])
def test_texts_of_one_template_are_decided_as_by_comparing_all(block: int) -> None:
    texts = of_one_frame(300, seed=8)
    stage = Dedup(field="text", threshold=0.72)
    context = FakeContext(stage)
    rows = rows_of(texts)
    found = [
        outcome
        for start in range(0, len(rows), block)
        for outcome in stage.run(iter(rows[start : start + block]), context)  # type: ignore[arg-type]
    ]
    expected = twins_by_brute_force(stage, texts)
    assert twins(found) == expected
    assert 30 < expected.count(None) < 270


def test_a_row_of_many_texts_in_one_bucket_is_decided() -> None:
    """More than may be looked at together, and not to be made fewer: they are one row's."""
    texts = of_one_frame(3 * minhash.DENSE, seed=10)
    columns = [f"also{n}" for n in range(len(texts))]
    stage = Dedup(field="text", threshold=0.9, also=tuple(columns), within_family=True)
    own = f"{texts[1_000]} x"
    one = row(id="r0", text=own, **dict(zip(columns, texts, strict=True)))
    alone = row(id="r1", text="Something else, of other words.", **dict.fromkeys(columns, ""))
    sets = [shingles(normalised(text), stage.ngram, stage.unit) for text in [own, *texts]]
    alike = [jaccard(sets[0], other) >= stage.least for other in sets[1:]]
    [first, second] = outcomes(stage, [one, alone])
    assert isinstance(first, Rejection)
    assert first.detail["of"] == columns[alike.index(True)]
    assert isinstance(second, Row)


@pytest.mark.parametrize("threshold", [0.6, 0.95])
def test_hardly_any_pairs_of_a_crowd_are_looked_at(
    threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether all are alike or none is; all pairs of the block would be half a million."""
    looked_at = 0
    reaching = Sketches.reaching

    def counting(self: Sketches, batch: Sketch, places: Array, *rest: Any) -> Array:
        nonlocal looked_at
        looked_at += len(places)
        return reaching(self, batch, places, *rest)

    monkeypatch.setattr(Sketches, "reaching", counting)
    outcomes(Dedup(field="text", threshold=threshold), rows_of(of_one_frame(1_000, seed=9)))
    assert looked_at <= 1_000 * (minhash.FEW + minhash.CROWDED // 32)  # bands


def test_memory_stays_modest() -> None:
    texts = sentences_with_edits(8_000, seed=5)
    stage = Dedup(field="text")
    context = FakeContext(stage)
    tracemalloc.start()
    context.state.restore([f"r{i:015}", f"r{i:015}", text] for i, text in enumerate(texts))
    context.state.open(context)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / len(texts) < 1_500  # bytes a row, the texts included: 150 MB for 100,000 rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "greater than 0"),
        ({"threshold": 1.1}, "less than or equal to 1"),
        ({"bands": 33}, "cannot be cut into 33 bands"),
        ({"threshold": 0.3}, "raise bands or the threshold"),
        ({"method": "simhush"}, "'exact', 'minhash'"),
        ({"method": "exact", "threshold": 0.5}, "setting of minhash and semantic and rouge"),
        ({"method": "semantic", "normalise": False}, "'normalise' is a setting of exact"),
        ({"distance": 3}, "'distance' is a setting of simhash"),
        ({"method": "simhash", "distance": 32}, "less than or equal to 31"),
        ({"against": 7}, "'against' names sets, found the value 7"),
        ({"against": {"seeds": ["a"]}}, "a path or a mapping, found a list"),
        ({"against": {"seeds": {"path": "a", "kind": "topics"}}}, "unknown kind of set 'topics'"),
        ({"action": "drop"}, "'reject' or 'flag'"),
        ({"field": []}, "name the column"),
        ({"field": ["a", ""]}, "name the column"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "dedup", "field": "text", **options}, key="stages.0")


def test_how_many_rows_memory_lets_decide_together_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = sentences_with_edits(120, seed=8)
    stage = Dedup(field="text")
    whole = twins(outcomes(stage, rows_of(texts)))
    monkeypatch.setattr(seen, "LETTERS", 300)
    together = []
    opened, keep = FakeContext(stage), seen.Seen._decide
    monkeypatch.setattr(
        seen.Seen,
        "_decide",
        lambda self, read, this: together.append(len(read)) or keep(self, read, this),
    )
    assert twins(outcomes(stage, rows_of(texts), opened)) == whole
    assert sum(together) == len(texts)
    assert 1 < max(together) < 60
