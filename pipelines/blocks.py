"""A block: source rows that go through the stages together, and what became of them.

made = Made(pulled=64, rows=rows)
for stage in job.stages:
    take_through(stage, contexts[stage.name], made)
made.rows, made.rejected, made.funnel.counts()
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipelines.accounting import Funnel
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.soundness import sound
from pipelines.stages.base import Context, Stage
from pipelines.supply import Item


@dataclass(slots=True)
class Made:
    """One block, as far as the stages have taken it.

    Attributes:
        pulled: Items taken from the sources.
        passed: Drawn rows that were passed over, since their cells of the quota are full.
        funnel: The counts of this block alone.
        rows: Rows that are left.
        rejected: Those that are not, by stage.
        calls: Model calls asked for.
        additions: What stages remember of it, by their names.
    """

    pulled: int = 0
    passed: int = 0
    funnel: Funnel = field(default_factory=Funnel)
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    calls: int = 0
    additions: dict[str, JSON] = field(default_factory=dict)


def take_through(stage: Stage, context: Context, made: Made) -> None:
    """Take a block through one stage.

    Raises:
        AccountingError: The stage lost a row or gave one out twice.
    """
    outcomes = sound(list(stage.run(iter(made.rows), context)), made.rows)
    made.funnel.add(stage.name, stage.kind, made.rows, outcomes)
    made.rows, rejected = parted(outcomes)
    made.rejected += [replace(rejection, stage=stage.name) for rejection in rejected]


def take(items: Iterator[Item], rows: int) -> list[Item]:
    """The next items that hold `rows` rows, with the unreadable ones between them."""
    block: list[Item] = []
    found = 0
    for item in items:
        block.append(item)
        found += isinstance(item.outcome, Row)
        if found == rows:
            break
    return block


def parted(outcomes: Sequence[Outcome]) -> tuple[list[Row], list[Rejection]]:
    """Rows and rejections, each in the order of the source."""
    rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejection)]
    return sorted(rows, key=lambda row: row.order), sorted(rejected, key=lambda r: r.row.order)
