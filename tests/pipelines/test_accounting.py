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
