"""The funnel: rows in + rows created = rows out + itemised rejections, for every stage, always.

funnel.add("length", "length", incoming, outcomes)
funnel.counts()[1]   # {"stage": "length", "kind": "length", "in": 64, "created": 0, "out": 60,
                     #  "rejected": {"too_long": 4}}
"""

from collections.abc import Sequence

from pipelines.rows import JSON, Outcome, Rejection, Row
from prompts.errors import TextmillError


class AccountingError(TextmillError):
    """A stage lost a row or gave one out twice: an error in the stage, not in the job."""


class Funnel:
    """Counts for each stage, checked as they come in."""

    def __init__(self, counts: Sequence[dict[str, JSON]] = ()) -> None:
        self._counts: dict[str, dict[str, JSON]] = {
            entry["stage"]: {**entry, "rejected": dict(entry["rejected"])} for entry in counts
        }

    def add(
        self, stage: str, kind: str, incoming: Sequence[Row], outcomes: Sequence[Outcome]
    ) -> None:
        """Count one block at one stage.

        Raises:
            AccountingError: A row that came in did not leave exactly once.
        """
        ids = [o.row.id if isinstance(o, Rejection) else o.id for o in outcomes]
        left = set(ids)
        if len(left) != len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise AccountingError(f"stage '{stage}' gave out row {twice} twice")
        lost = [row.id for row in incoming if row.id not in left]
        if lost:
            raise AccountingError(f"stage '{stage}' lost row {lost[0]} ({len(lost)} in all)")
        reasons = [o.reason for o in outcomes if isinstance(o, Rejection)]
        entry = self.entry(stage, kind)
        entry["in"] += len(incoming)
        entry["created"] += len(ids) - len(incoming)
        entry["out"] += len(ids) - len(reasons)
        for reason in reasons:
            entry["rejected"][reason] = entry["rejected"].get(reason, 0) + 1

    def join(self, other: "Funnel") -> None:
        """Add the counts of further blocks."""
        for counts in other.counts():
            entry = self.entry(counts["stage"], counts["kind"])
            for key in ("in", "created", "out"):
                entry[key] += counts[key]
            for reason, count in counts["rejected"].items():
                entry["rejected"][reason] = entry["rejected"].get(reason, 0) + count

    def entry(self, stage: str, kind: str) -> dict[str, JSON]:
        """The counts of one stage, made at zero when new."""
        empty = {"stage": stage, "kind": kind, "in": 0, "created": 0, "out": 0, "rejected": {}}
        return self._counts.setdefault(stage, empty)

    def counts(self) -> list[dict[str, JSON]]:
        """One entry a stage, in the order of the job."""
        return [
            {
                **{key: entry[key] for key in ("stage", "kind", "in", "created", "out")},
                "rejected": dict(sorted(entry["rejected"].items())),
            }
            for entry in self._counts.values()
        ]

    def rejected(self) -> int:
        """Rejections of all stages together, those over the quota left out."""
        return sum(
            count
            for entry in self._counts.values()
            for reason, count in entry["rejected"].items()
            if reason != "over_quota"
        )
