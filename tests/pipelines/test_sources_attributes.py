import statistics
from collections import Counter
from datetime import date
from fractions import Fraction
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
from source_views import View, build

from pipelines.drawing import DISTRIBUTIONS
from pipelines.expressions import BadExpression, Expression
from pipelines.sources import SOURCES
from prompts.errors import UsageError

VIEW = View(Path())
PEOPLE: dict[str, Any] = {
    "country": {"France": 2, "Japan": 1},
    "city": {
        "given": {"country": {"France": ["Paris", "Lyon"], "Japan": {"Tokyo": 3, "Osaka": 1}}}
    },
    "age": {"draw": "normal", "mean": 40, "sd": 15, "min": 6, "max": 90},
    "role": ["pupil", "teacher"],
    "title": {"text": "{{ role }} in {{ city }}"},
}


def data(number: int, view: View = VIEW, **settings: Any) -> list[dict[str, Any]]:
    source = build("attributes", **{"columns": PEOPLE, **settings})
    return [seed.data for seed in islice(source.read(view), number)]  # type: ignore[union-attr]


def test_a_column_follows_its_parent_and_a_text_its_parts() -> None:
    rows = data(400)
    cities = {"France": {"Paris", "Lyon"}, "Japan": {"Tokyo", "Osaka"}}
    assert {row["country"] for row in rows} == set(cities)
    assert all(row["city"] in cities[row["country"]] for row in rows)
    assert all(row["title"] == f"{row['role']} in {row['city']}" for row in rows)
    assert list(rows[0]) == list(PEOPLE)


def test_rows_depend_on_the_seed_and_their_place_alone() -> None:
    rows = data(50)
    assert data(20) == rows[:20]
    assert data(50, count=50) == rows
    assert data(50, View(Path("elsewhere"))) == rows
    assert data(50, View(Path(), seed=8)) != rows


def test_a_new_column_changes_no_other_one() -> None:
    more = {"mood": ["calm", "busy"], **PEOPLE}
    assert [{k: r[k] for k in PEOPLE} for r in data(50, columns=more)] == data(50)


@pytest.mark.parametrize("listed", [True, False])
def test_conditions_leave_the_distribution_that_columns_have_under_them(
    monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """Both ways of drawing, held against the shares that all combinations tell."""
    if not listed:
        monkeypatch.setattr("pipelines.sources.sampling.MOST_STEPS", 0)
    columns = {"a": {"x": 5, "y": 1}, "b": [1, 2, 3], "c": {"draw": "boolean", "p": 0.2}}
    where = ["b > 1 or a == 'y'", "not c or b == 3"]
    weights = {
        (a, b, c): {"x": 5, "y": 1}[a] * (0.2 if c else 0.8)
        for a, b, c in product("xy", (1, 2, 3), (True, False))
        if (b > 1 or a == "y") and (not c or b == 3)
    }
    rows = Counter(tuple(row.values()) for row in data(3000, columns=columns, where=where))
    assert set(rows) == set(weights)
    for combination, weight in weights.items():
        share = weight / sum(weights.values())
        assert rows[combination] / 3000 == pytest.approx(share, abs=0.03)


def test_conditions_on_some_columns_leave_the_others_as_they_were() -> None:
    rows, free = data(60, where=["age >= 25 or role == 'pupil'"]), data(60)
    assert all(row["age"] >= 25 or row["role"] == "pupil" for row in rows)
    assert [(r["country"], r["city"]) for r in rows] == [(r["country"], r["city"]) for r in free]


def test_dates_can_be_ordered_and_counted_on() -> None:
    year = {"draw": "date", "from": "2026-01-01", "to": "2026-12-31", "weekdays": {"sat": 0}}
    columns = {"start": year, "end": year, "nights": {"expr": "days(end, start)"}}
    for row in data(40, columns=columns, where=["end > start"]):
        first, last = date.fromisoformat(row["start"]), date.fromisoformat(row["end"])
        assert (last - first).days == row["nights"] > 0
        assert 5 not in {first.weekday(), last.weekday()}


@pytest.mark.parametrize(
    "settings",
    [
        {"draw": "uniform", "min": -2, "max": 3},
        {"draw": "uniform", "min": 0, "max": 1, "decimals": 1},
        {"draw": "normal", "mean": 3, "sd": 2, "min": 1, "max": 8},
        {"draw": "lognormal", "median": 4, "sigma": 0.7, "min": 1, "max": 20},
        {"draw": "boolean", "p": 0.3},
        {
            "draw": "date",
            "from": "2026-02-25",
            "to": "2026-03-04",
            "weekdays": {"sun": 0, "mon": 3},
        },
    ],
)
def test_quantiles_have_the_probabilities_that_are_told(settings: dict[str, Any]) -> None:
    """A fine grid of shares, counted, against `support`."""
    distribution = DISTRIBUTIONS.build(settings)
    grid = 20_000
    counts = Counter(distribution.at((i + 0.5) / grid, 0) for i in range(grid))
    support = distribution.support()
    assert support is not None
    assert sum(p for _, p in support) == pytest.approx(1)
    assert set(counts) == {value for value, p in support if p * grid > 2}
    for value, p in support:
        assert counts[value] / grid == pytest.approx(p, abs=2 / grid)


def test_a_normal_distribution_is_truncated_and_not_clipped() -> None:
    """Mean and variance of a normal one above its mean: sd * sqrt(2/pi), sd^2 * (1 - 2/pi)."""
    half = DISTRIBUTIONS.build({"draw": "normal", "mean": 0, "sd": 10, "min": 0, "decimals": 3})
    drawn = [float(half.at((i + 0.5) / 20_000, 0)) for i in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(7.97885, abs=0.01)
    assert statistics.pvariance(drawn) == pytest.approx(36.338, abs=0.3)


def test_half_of_a_lognormal_distribution_lies_below_its_median() -> None:
    prices = DISTRIBUTIONS.build({"draw": "lognormal", "median": 20, "sigma": 0.5, "decimals": 2})
    drawn = sorted(float(prices.at((i + 0.5) / 10_000, 0)) for i in range(10_000))
    assert drawn[5_000] == pytest.approx(20, abs=0.02)
    assert statistics.fmean(drawn) == pytest.approx(22.663, abs=0.05)  # 20 * exp(0.125)


def test_running_numbers_are_those_of_the_rows() -> None:
    columns = {"id": {"draw": "sequence", "prefix": "A-", "digits": 3}, "n": {"draw": "sequence"}}
    assert data(2, columns=columns) == [{"id": "A-001", "n": 1}, {"id": "A-002", "n": 2}]


@pytest.mark.parametrize(
    ("columns", "where", "key", "problem"),
    [
        ({"a": [1, 2], "b": [3]}, ["a > b"], "where.0", "no row meets 'a > b'"),
        ({"a": [1, 2]}, ["a == 1", "a == 2"], "where.0", "'a == 1' and 'a == 2'"),
        ({"a": [1, 2]}, ["a < 3", "a > 2"], "where.1", "no row meets 'a > 2'"),
        ({"a": {"draw": "normal", "mean": 0, "sd": 1}}, ["a > 90"], "where.0", "no draw of 10,000"),
        ({"a": {"expr": "b + 1"}, "b": {"expr": "a + 1"}}, [], "columns.a", "a > b > a"),
        ({"a": {"expr": "c + 1"}}, [], "columns.a", "unknown column 'c'"),
        ({"a": {"expr": "1 / 0"}}, [], "columns.a", "division by zero"),
        ({"a": {"expr": "a.b"}}, [], "columns.a.expr", "found 'a.b'"),
        ({"a": [1]}, ["b > 1"], "where.0", "unknown column 'b'"),
        ({"a": [1]}, ["a + 1"], "where.0", "neither true nor false"),
        ({"a": [1]}, ["a >"], "where.0", "no expression"),
        ({"a": ["x"]}, ["a > 1"], "where.0", "'str' and 'number'"),
        (
            {"a": ["x", "y"], "b": {"given": {"a": {"x": [1]}}}},
            [],
            "columns.b.given.a",
            "for a 'y'",
        ),
        (
            {"a": ["x"], "b": {"given": {"a": {"x": [1], "z": [1]}}}},
            [],
            "columns.b.given.a",
            "unknown value of a 'z'",
        ),
        ({"a": ["x"], "b": {"given": {"a": {"x": [1, 1]}}}}, [], "columns.b.given.a.x", "found"),
        ({"a": {"given": ["b"]}}, [], "columns.a.given", "found a list"),
        ({"a": {"draw": "unifrom"}}, [], "columns.a.draw", "unknown distribution"),
        ({"a": {"draw": "uniform", "min": 3, "max": 1}}, [], "columns.a", "found"),
        ({"a": {"draw": "uniform", "min": 0.5, "max": 1}}, [], "columns.a", "found"),
        ({"a": {"draw": "normal", "mean": 0, "sd": 1, "min": 80}}, [], "columns.a", "found"),
        (
            {"a": {"draw": "date", "from": "2026-02-30", "to": "2026-03-01"}},
            [],
            "columns.a.from",
            "in quotes",
        ),
        ({"a": {"text": "{{ x"}}, [], "columns.a.text", "found"),
        ({"a": {"x": True}}, [], "columns.a", "found"),
        ({}, [], "columns", "found a mapping"),
    ],
)
def test_what_cannot_be_drawn_is_named(
    columns: dict[str, Any], where: list[str], key: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        build("attributes", columns=columns, where=where).columns(VIEW)
    assert raised.value.key in (f"sources.0.{key}", key)  # of settings, or of how they fit


def test_a_resolved_source_is_read_back_as_it_was() -> None:
    day = {"draw": "date", "from": "2026-01-01", "to": "2026-01-09"}
    source = build("attributes", columns={**PEOPLE, "day": day}, where=["age > 9"])
    again = SOURCES.build(source.model_dump(mode="json"))
    assert again == source
    assert list(islice(again.read(VIEW), 5)) == list(islice(source.read(VIEW), 5))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1 + 0.2", 0.3),
        ("19.99 * 3", 59.97),
        ("7 // 2 + 7 % 2 - -1", 5),
        ("1 < 2 <= 2 != 3", True),
        ("'a' in ['a', 'b'] and not 1 > 2", True),
        ("'x' + text(3) if n else 'y'", "x3"),
        ("round(2 / 3, 2) + max(1, 2) + len('abc')", 5.67),
        ("plus_days('2024-02-28', 2)", "2024-03-01"),
        ("days('2024-03-01', '2024-02-01') + year('1999-12-31')", 2028),
        ("lower('AB') + upper('c')", "abC"),
    ],
)
def test_expressions_are_exact(text: str, value: Any) -> None:
    found = Expression(text).value({"n": True})
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["(a + b) * (a - b) / 3 - -a % 7", "a // 3 + b * 2 - 1 if a < b else a"]
)
def test_expressions_have_the_value_that_fractions_have(text: str) -> None:
    for a, b in product(range(-4, 5), repeat=2):
        expected = eval(text, {"a": Fraction(a), "b": Fraction(b)})
        assert Expression(text).value({"a": a, "b": b}) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "a.b", "__import__('os')", "9 ** 9", "[x for x in 'ab']", "'a' * 9", "lambda: 1", "a[0]",
        "f'{a}'", "None", "1 and 2", "True + 1", "(" * 300 + "1" + ")" * 300, "1e999", "b'a'",
        "*".join(["9" * 60] * 8), "round(1, 2, 3)", "a := 3", "len(3)", "min()",
    ],
)  # fmt: skip
def test_nothing_but_expressions_is_computed(text: str) -> None:
    with pytest.raises(BadExpression):
        Expression(text).value({"a": "text"})
