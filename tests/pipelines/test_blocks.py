"""A block alone, without a run."""

from collections.abc import Iterator
from typing import Literal

from fakes import FakeContext, row

from pipelines.blocks import Made, parted, take, take_through
from pipelines.rows import Fault, Outcome, Rejection, Row
from pipelines.stages import Context, Filter
from pipelines.supply import Item


class Backwards(Filter):
    """Gives the rows out from the last to the first, those with an even number rejected."""

    kind: Literal["backwards"] = "backwards"

    def fault(self, row: Row) -> Fault | None:
        return Fault("even", {"n": row.order[0]}) if row.order[0] % 2 == 0 else None

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        yield from reversed(list(super().run(rows, context)))


def item(number: int, *, readable: bool = True) -> Item:
    one = row(id=f"r{number}")
    return Item("source:x", "x", one if readable else Rejection(one, "unreadable"))


def test_a_block_begins_with_nothing() -> None:
    made = Made()
    assert (made.pulled, made.passed, made.calls) == (0, 0, 0)
    assert (made.rows, made.rejected, made.additions, made.funnel.counts()) == ([], [], {}, [])


def test_as_many_items_are_taken_as_hold_the_rows_and_no_more() -> None:
    items = [item(0), item(1, readable=False), item(2), item(3, readable=False), item(4)]
    left = iter(items)
    assert take(left, 2) == items[:3]
    assert take(left, 2) == items[3:]
    assert take(left, 2) == []


def test_outcomes_are_parted_in_the_order_of_the_source() -> None:
    rows = [row(id=f"r{number}") for number in (3, 10, 2)]
    rejections = [Rejection(row(id=f"r{number}"), "bad") for number in (11, 1)]
    found = parted([rows[0], rejections[0], rows[1], rejections[1], rows[2]])
    assert found == ([rows[2], rows[0], rows[1]], [rejections[1], rejections[0]])


def test_a_stage_takes_rows_out_of_a_block_and_adds_to_what_was_rejected() -> None:
    stage = Backwards(name="back")
    rows = [row(id=f"r{number}") for number in range(4)]
    before = Rejection(row(id="r9"), "unreadable", stage="source:x")
    made = Made(pulled=5, rows=rows, rejected=[before])
    take_through(stage, FakeContext(stage), made)
    assert made.rows == [rows[1], rows[3]]
    assert made.rejected == [
        before,
        *(Rejection(rows[n], "even", {"n": n}, stage="back") for n in (0, 2)),
    ]
    entry = {"stage": "back", "kind": "backwards", "in": 4, "created": 0, "out": 2}
    assert made.funnel.counts() == [{**entry, "rejected": {"even": 2}}]
