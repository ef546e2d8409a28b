"""What `dedup` is without settings and with each, and how many rows it decides together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, get_args

import pytest
from fakes import FakeContext, outcomes, reasons, row

from pipelines.rows import Fault, Row
from pipelines.stages import Dedup
from pipelines.stages.dedup.exact import Exact
from pipelines.stages.dedup.minhash import MinHash
from pipelines.stages.dedup.rouge import Rouge
from pipelines.stages.dedup.seen import Known, related
from pipelines.stages.dedup.semantic import Semantic
from pipelines.stages.dedup.simhash import SimHash
from pipelines.stages.dedup.stage import Method
from pipelines.stages.dedup.substring import Substring

METHODS: tuple[Method, ...] = get_args(Method)


def test_the_settings_are_those_that_are_documented() -> None:
    assert Dedup(field="text").model_dump(exclude={"field", "name"}) == {
        "kind": "dedup",
        "method": "minhash",
        "threshold": None,
        "num_perm": 128,
        "bands": 32,
        "ngram": 5,
        "unit": "chars",
        "distance": 6,
        "span": 30,
        "exact_up_to": 200_000,
        "normalise": True,
        "within_family": False,
        "against": {},
        "also": (),
        "action": "reject",
        "adds": "duplicate_of",
    }


def test_every_method_has_its_threshold_and_its_index() -> None:
    found = {}
    for method in METHODS:
        stage = Dedup(field="text", method=method)
        found[method] = (stage.least, type(stage.open_index(FakeContext(stage))))
    assert found == {
        "exact": (1.0, Exact),
        "minhash": (0.8, MinHash),
        "simhash": (1.0, SimHash),
        "substring": (1.0, Substring),
        "semantic": (0.9, Semantic),
        "rouge": (0.7, Rouge),
    }
    assert Dedup(field="text", method="rouge", threshold=0.55).least == 0.55


@pytest.mark.parametrize(
    ("setting", "value", "methods"),
    [
        ("threshold", 0.95, {"minhash", "semantic", "rouge"}),
        ("num_perm", 64, {"minhash"}),
        ("bands", 64, {"minhash"}),
        ("ngram", 4, {"minhash", "simhash"}),
        ("unit", "words", {"minhash", "simhash"}),
        ("distance", 5, {"simhash"}),
        ("span", 20, {"substring"}),
        ("exact_up_to", 1, {"semantic"}),
        ("normalise", False, set(METHODS) - {"semantic"}),
    ],
)
def test_a_setting_is_taken_by_the_methods_that_have_it(
    setting: str, value: Any, methods: set[str]
) -> None:
    def taken(method: str) -> bool:
        try:
            stage = Dedup.model_validate({"field": "text", "method": method, setting: value})
        except ValueError as exc:
            assert f"'{setting}' is a setting of " in str(exc)  # noqa: PT017
            return False
        return bool(getattr(stage, setting) == value)

    assert {method for method in METHODS if taken(method)} == methods


def test_bands_that_find_four_of_five_pairs_are_enough() -> None:
    one = {"field": "text", "num_perm": 1, "bands": 1}  # which find a pair as often as it is alike
    assert Dedup.model_validate({**one, "threshold": 0.8}).least == 0.8
    with pytest.raises(ValueError, match=r"find only 79% of the pairs at similarity 0\.79"):
        Dedup.model_validate({**one, "threshold": 0.79})
    assert Dedup(field="text", method="semantic", threshold=0.1).least == 0.1


def test_what_is_compared_of_a_row() -> None:
    columns = {"text": "Why?", "more": "So.", "n": 3, "seed": "A  Seed"}
    one = row(id="r1", family="f", **columns)

    def items(**settings: Any) -> list[Known | Fault]:
        return Dedup.model_validate({"field": ("text", "more"), **settings}).items(one)

    assert items() == [Known("r1", "f", "why\x1fso")]
    assert items(normalise=False) == [Known("r1", "f", "Why?\x1fSo.")]
    assert items(method="semantic") == [Known("r1", "f", "Why?\nSo.")]
    assert items(field="n") == [Known("r1", "f", "3")]
    both = [Known("r1", "f", "a seed", "seed"), Known("r1", "f", "3", "n")]
    assert items(also=("seed", "n")) == [*both, Known("r1", "f", "why\x1fso")]
    missing = Fault("missing_column", {"column": "gone", "columns": sorted(columns)})
    assert items(also=("seed", "gone")) == [both[0], missing]
    assert items(field="gone", also=("seed",)) == [both[0], missing]


def test_a_set_is_of_no_family(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"text": "Why?"}\n{"text": ["no", "text"]}\n')
    stage = Dedup(field="text", method="exact", against={"seeds": str(seeds)})  # type: ignore[dict-item]
    known = list(stage.read_sets(FakeContext(stage)))
    assert [(one.family, one.text, one.of) for one in known] == [
        ("", "why", "seeds"),
        ("", "[ no text ]", "seeds"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("ab", "ba", False),
        ("a+b", "b", True),
        ("b", "a+b", True),
        ("a+b", "c+b", True),
        ("a+b", "ab", False),
        ("a+b", "c+d", False),
    ],
)
def test_families_are_related_by_a_source_row_in_common(
    first: str, second: str, expected: bool
) -> None:
    assert related(first, second) is expected


class Recording(Exact):
    """Notes how many texts are read together, and has room for so many."""

    def __init__(self, room: int | None = None) -> None:
        self.most = room
        self.read_together: list[int] = []
        self.entered: list[int] = []

    def room(self) -> int | None:
        return self.most

    def read(self, texts: Sequence[str]) -> int:
        self.read_together.append(len(texts))
        return len(texts)

    def add(self, batch: int, places: Sequence[int]) -> None:
        self.entered.append(len(places))

    def fresh(self) -> Self:
        return self  # so that one sees all


def recorded(rows: list[Row], room: int | None = None, **settings: Any) -> Recording:
    """The index, behind some rows without a duplicate."""
    stage = Dedup.model_validate({"field": "text", "method": "exact", **settings})
    context, index = FakeContext(stage), Recording(room)
    context.shared("index", lambda: index)
    assert set(reasons(outcomes(stage, rows, context))) == {""}
    return index


def numbered(count: int, length: int = 1) -> list[Row]:
    return [row(id=f"r{n}", text=f"{n:0{length}}", also=f"also {n}") for n in range(count)]


def test_rows_are_decided_4096_together_or_a_million_letters() -> None:
    assert recorded(numbered(5_000)).read_together == [4_096, 904]
    half, more = numbered(7, 1 << 19), numbered(3, 1 << 21)
    assert recorded(half, normalise=False).read_together == [2, 2, 2, 1]  # 1,048,576 letters
    assert recorded(more, normalise=False).read_together == [1, 1, 1]


def test_no_more_texts_are_decided_together_than_the_index_has_room_for() -> None:
    assert recorded(numbered(8), room=3).read_together == [3, 3, 2]
    assert recorded(numbered(5), room=4, also=("also",)).read_together == [4, 4, 2]
    assert recorded(numbered(2), room=1, also=("also",)).read_together == [2, 2]


def test_what_was_restored_is_entered_as_far_as_there_is_room() -> None:
    stage = Dedup(field="text", method="exact")
    for room, expected in ((3, [3, 3, 1]), (None, [7])):
        context, index = FakeContext(stage), Recording(room)
        context.shared("index", lambda index=index: index)
        context.state.restore([f"r{n}", f"r{n}", str(n)] for n in range(7))
        assert context.state.restored() == [str(n) for n in range(7)]
        context.state.open(context)
        context.state.open(context)
        assert (index.read_together, index.entered) == (expected, expected)
        assert context.state.restored() == []


def test_a_text_is_remembered_once_for_each_family() -> None:
    stage = Dedup(field="text", method="exact", also=("also",))
    rows = [
        row(id="r0", family="f", text="tea", also="a seed"),
        row(id="r1", family="f", text="TEA", also="a seed"),
        row(id="r2", family="g", text="rain", also="a seed"),
        row(id="r3", family="f", text="a seed", also="tea"),
    ]
    context = FakeContext(stage)
    assert reasons(outcomes(stage, rows, context)) == ["", "", "", "duplicate"]
    assert context.state.additions() == [
        ["r0", "f", "a seed", "also"],
        ["r0", "f", "tea", ""],
        ["r2", "g", "a seed", "also"],
        ["r2", "g", "rain", ""],
        ["r3", "f", "tea", "also"],
    ]
    assert context.state.additions() == []
    [of_f, of_g, of_h] = [
        outcomes(stage, [row(id=f"r{n}", family=f, text="tea", also="x")], context)[0]
        for n, f in ((4, "f"), (5, "g"), (6, "f+h"))
    ]
    assert reasons([of_f, of_g, of_h]) == ["", "duplicate", ""]
