from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from source_views import View, build, parted

from pipelines.sources import SOURCES, Seed, seeds
from prompts.errors import SourceError, UsageError

VIEW = View(Path())
ATTRIBUTES = {"label": ["positive", "negative"], "length": {"short": 3, "long": 1}}


def data(number: int, view: View = VIEW, **settings: Any) -> list[dict[str, Any]]:
    source = build("topics", **{"topics": ["phones", "cafés", "films"], **settings})
    return [seed.data for seed in islice(source.read(view), number)]  # type: ignore[union-attr]


def test_a_row_is_a_topic_and_a_value_of_each_attribute() -> None:
    rows = data(200, attributes=ATTRIBUTES)
    assert {tuple(row) for row in rows} == {("topic", "label", "length")}
    combinations = {tuple(row.values()) for row in rows}
    assert combinations == {
        (topic, label, length)
        for topic in ("phones", "cafés", "films")
        for label in ("positive", "negative")
        for length in ("short", "long")
    }


def test_rows_depend_on_the_seed_and_their_place_alone() -> None:
    rows = data(50, attributes=ATTRIBUTES)
    assert data(50, attributes=ATTRIBUTES, count=50) == rows
    assert data(20, attributes=ATTRIBUTES) == rows[:20]
    assert data(50, View(Path("elsewhere")), attributes=ATTRIBUTES) == rows
    assert data(50, View(Path(), seed=8), attributes=ATTRIBUTES) != rows


def test_a_new_attribute_changes_no_other_column() -> None:
    rows = data(50, attributes=ATTRIBUTES)
    more = data(50, attributes={"genre": ["review", "post"], **ATTRIBUTES})
    assert [{**row, "genre": None} for row in more] == [{**row, "genre": None} for row in rows]


def test_weights_are_shares() -> None:
    counts = Counter(row["length"] for row in data(4000, attributes=ATTRIBUTES))
    assert counts["short"] == pytest.approx(3000, abs=120)
    topics = Counter(row["topic"] for row in data(3000, topics={"a": 0.2, "b": 0.2, "c": 1.1}))
    assert topics["c"] == pytest.approx(2200, abs=120)


def test_balanced_columns_come_in_exact_numbers() -> None:
    rows = data(120, attributes=ATTRIBUTES, balance=["label", "length", "topic"])
    for end in (12, 60, 120):
        assert Counter(row["label"] for row in rows[:end]) == {
            "positive": end / 2,
            "negative": end / 2,
        }
        assert Counter(row["length"] for row in rows[:end]) == {
            "short": end * 3 / 4,
            "long": end / 4,
        }
        assert set(Counter(row["topic"] for row in rows[:end]).values()) == {end / 3}


def test_balanced_columns_do_not_go_in_step() -> None:
    """Two columns of two values each: all four combinations come, not two of them."""
    attributes = {"a": [0, 1], "b": [0, 1]}
    rows = data(400, attributes=attributes, balance=["a", "b"])
    counts = Counter((row["a"], row["b"]) for row in rows)
    assert all(counts[a, b] == pytest.approx(100, abs=30) for a in (0, 1) for b in (0, 1))


def test_large_weights_of_a_simple_proportion_make_a_short_turn() -> None:
    rows = data(4, attributes={"a": {"x": 30_000_000, "y": 10_000_000}}, balance=["a"])
    assert Counter(row["a"] for row in rows) == {"x": 3, "y": 1}


def test_every_row_has_a_key_of_its_own() -> None:
    source = build("topics", topics=["one"], count=30)
    keys = [seed.key for seed in source.read(VIEW)]  # type: ignore[union-attr]
    assert keys == [str(number) for number in range(30)]


def test_values_keep_their_type() -> None:
    rows = data(40, topics=["a"], attributes={"stars": [1, 2.5, "3", True]})
    assert {type(row["stars"]) for row in rows} == {int, float, str, bool}


def test_without_a_count_there_is_no_end_and_no_shuffling() -> None:
    assert len(data(5000)) == 5000
    with pytest.raises(UsageError, match="give a count"):
        build("topics", topics=["a"], shuffle=True)
    source = build("topics", topics=["a", "b"], count=20, shuffle=True)
    keys = [seed.key for seed in seeds(source, VIEW) if isinstance(seed, Seed)]
    assert sorted(keys, key=int) == [str(n) for n in range(20)] != keys


def test_topics_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "topics.txt").write_bytes("phones\r\n\r\n  cafés \nphones\n".encode("cp1252"))
    source = build("topics", topics="topics.txt", count=40)
    rows, _ = parted(source.read(View(tmp_path)))
    assert {row.data["topic"] for row in rows} == {"phones", "cafés"}
    before = source.fingerprint(View(tmp_path))
    (tmp_path / "topics.txt").write_text("phones\n", encoding="utf-8")
    assert source.fingerprint(View(tmp_path)) != before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty: no bytes"),
        (b"\n \n", "holds no topics"),
        (b"\x89PNG\r\n\x1a\n", "binary"),
        (None, "no such file or folder"),
    ],
)
def test_a_file_without_topics_is_an_error(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "topics.txt").write_bytes(content)
    source = build("topics", topics="topics.txt")
    for use in (source.columns, lambda view: list(source.read(view))):
        with pytest.raises(SourceError, match=problem) as raised:
            use(View(tmp_path))
        assert raised.value.key == "topics"


@pytest.mark.parametrize(
    ("settings", "key", "problem"),
    [
        ({"topics": []}, "topics", "at least one value"),
        ({"topics": ["a", "a"]}, "topics", "stands twice"),
        ({"topics": 3}, "topics", "a list of values"),
        ({"topics": {"a": 0}}, "topics", "above 0"),
        ({"topics": {"a": True}}, "topics", "is a number"),
        ({"topics": {"a": float("nan")}}, "topics", "above 0"),
        ({"attributes": {"label": "positive"}}, "attributes.label", "a list of values"),
        ({"attributes": {"label": [["x"]]}}, "attributes.label", "a list of values"),
        ({"attributes": {"label": {1: 2}}}, "attributes.label", "in quotes"),
        ({"attributes": {"topic": ["x"]}}, "", "cannot be called 'topic'"),
        ({"attributes": ATTRIBUTES, "balance": ["lable"]}, "", "there are: topic, label, length"),
        ({"attributes": {"a": {"x": 0.5}}, "balance": ["a"]}, "", "whole numbers"),
        ({"attributes": {"a": {"x": 99_999, "y": 1}}, "balance": ["a"]}, "", "100000 rows a turn"),
        ({"count": 0}, "count", "greater than or equal to 1"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], key: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        build("topics", **{"topics": ["a"], **settings})
    assert raised.value.key == ".".join(filter(None, ["sources.0", key]))


def test_columns_and_fingerprint_follow_the_settings() -> None:
    source = build("topics", topics=["a"], attributes=ATTRIBUTES)
    assert source.columns(VIEW) == {"topic", "label", "length"}
    assert source.fingerprint(VIEW) == source.fingerprint(VIEW)
    assert source.fingerprint(View(Path(), seed=8)) != source.fingerprint(VIEW)
    assert build("topics", topics=["a"]).fingerprint(VIEW) != source.fingerprint(VIEW)


def test_a_resolved_source_is_read_back_as_it_was() -> None:
    source = build("topics", topics={"a": 1, "b": 2.5}, attributes=ATTRIBUTES, balance=["label"])
    assert SOURCES.build(source.model_dump(mode="json")) == source
