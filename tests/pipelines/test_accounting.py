import pytest

from pipelines.accounting import AccountingError, Funnel
from pipelines.rows import Outcome, Rejection, Row


def rows(*names: str) -> list[Row]:
    return [Row(name, (index,), name, {}) for index, name in enumerate(names)]


def test_in_and_created_are_out_and_rejected() -> None:
    a, b, c = rows("a", "b", "c")
    funnel = Funnel()
    funnel.add("s", "k", [a, b], [a, Rejection(b, "bad"), c])
    funnel.add("s", "k", [c], [Rejection(c, "bad")])
    assert funnel.counts() == [
        {"stage": "s", "kind": "k", "in": 3, "created": 1, "out": 2, "rejected": {"bad": 2}}
    ]


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([], "lost row a"),
        (rows("b"), "lost row a"),
        ([*rows("a"), *rows("a")], "row a twice"),
        ([*rows("b", "a"), *rows("a")], "row a twice"),
        (rows("b", "c"), r"lost row a \(1 in all\)"),
        ([*rows("a"), Rejection(rows("a")[0], "bad")], "row a twice"),
    ],
)
def test_a_stage_that_loses_or_doubles_a_row_is_found_out(
    outcomes: list[Outcome], found: str
) -> None:
    with pytest.raises(AccountingError, match=found):
        Funnel().add("s", "k", rows("a"), outcomes)


def test_a_funnel_goes_on_from_its_counts() -> None:
    a, b = rows("a", "b")
    first = Funnel()
    first.add("s", "k", [a], [a])
    second = Funnel(first.counts())
    second.add("s", "k", [b], [Rejection(b, "bad")])
    assert second.counts()[0]["in"] == 2
    assert first.counts()[0]["rejected"] == {}
    assert second.rejected() == 1


def test_the_counts_that_a_funnel_goes_on_from_stay_as_they_are() -> None:
    [a] = rows("a")
    entry = {"stage": "s", "kind": "k", "in": 1, "created": 0, "out": 0, "rejected": {"bad": 1}}
    funnel = Funnel([entry])
    funnel.add("s", "k", [a], [Rejection(a, "bad")])
    assert funnel.counts() == [{**entry, "in": 2, "rejected": {"bad": 2}}]
    assert (entry["in"], entry["rejected"]) == (1, {"bad": 1})


def test_funnels_are_joined_stage_by_stage() -> None:
    a, b, c = rows("a", "b", "c")
    first, second = Funnel(), Funnel()
    first.add("s", "k", [a, b], [a, b, c])
    first.add("t", "l", [a, b, c], [a, Rejection(b, "worse"), Rejection(c, "bad")])
    second.add("t", "l", [a], [Rejection(a, "bad")])
    second.add("quota", "quota", [a, b], [Rejection(a, "over_quota"), Rejection(b, "no_cell")])
    first.join(second)
    assert first.counts() == [
        {"stage": "s", "kind": "k", "in": 2, "created": 1, "out": 3, "rejected": {}},
        {"stage": "t", "kind": "l", "in": 4, "created": 0, "out": 1}
        | {"rejected": {"bad": 2, "worse": 1}},
        {"stage": "quota", "kind": "quota", "in": 2, "created": 0, "out": 0}
        | {"rejected": {"no_cell": 1, "over_quota": 1}},
    ]
    assert list(first.counts()[1]["rejected"]) == ["bad", "worse"]
    assert first.rejected() == 4
    assert second.counts()[0]["rejected"] == {"bad": 1}
