"""Rows: what flows through a job, one JSON line each in `rows.jsonl`.

    {"id": "9f2c...", "order": "17.0.2", "family": "41aa...", "data": {"question": "When ...?"},
     "history": [{"stage": "question", "prompt": "qa/question@1f0c9e", "seed": 812, ...}]}

A row is immutable. A stage that changes a column gives a new `Row` with the same id; a stage that
makes further rows out of one gives them ids of their own and the same family.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JSON = Any
"""A value of JSON: None, bool, int, float, str, a list or a dict with string keys."""

SEED_BITS = 53  # the largest integers that every JSON reader holds exactly

_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        id: 16 hex digits, from content and place in the source, never from a running number.
        order: Where the row stands in the output: source position, then reply or variant.
        family: Id of the source row it comes from; several joined by "+" unite their families.
        data: The columns.
        history: One event a stage that made or changed something.
    """

    id: str
    order: tuple[int, ...]
    family: str
    data: Mapping[str, JSON]
    history: tuple[Mapping[str, JSON], ...] = ()

    def with_data(
        self, columns: Mapping[str, JSON], event: Mapping[str, JSON] | None = None
    ) -> "Row":
        """The same row with `columns` set, and `event` added to its history."""
        history = self.history if event is None else (*self.history, event)
        return replace(self, data={**self.data, **columns}, history=history)

    def child(self, stage: str, index: int) -> "Row":
        """The row's `index`-th copy at `stage`: copy 0 is the row itself, the others are new rows.

        All get one more place in `order`, so that they sort behind each other. Copy 0 keeps the id:
        asking for more replies later leaves the ids, and so the seeds, of the first ones alone.
        """
        identity = self.id if index == 0 else digest(self.id, stage, index)
        return replace(self, id=identity, order=(*self.order, index))

    def as_json(self) -> dict[str, JSON]:
        """The row as it is written."""
        return {
            "id": self.id,
            "order": ".".join(map(str, self.order)),
            "family": self.family,
            "data": dict(self.data),
            "history": [dict(event) for event in self.history],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, JSON]) -> "Row":
        """The row that `as_json` wrote."""
        return cls(
            id=record["id"],
            order=tuple(int(part) for part in record["order"].split(".")),
            family=record["family"],
            data=record["data"],
            history=tuple(record["history"]),
        )


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that a stage did not let through, with the reason; one line of `rejected.jsonl`.

    Attributes:
        row: The row as it was, or as far as it got.
        reason: A short name to count by: `too_short`, `duplicate`, `context_overflow`.
        detail: The evidence in words and numbers: which row it duplicates, how similar, how long.
        attempts: How often it was tried.
        stage: Filled in by the runner.
    """

    row: Row
    reason: str
    detail: Mapping[str, JSON] = field(default_factory=dict)
    attempts: int = 1
    stage: str = ""

    def as_json(self) -> dict[str, JSON]:
        """The rejection as it is written."""
        record = self.row.as_json()
        verdict = {"stage": self.stage, "reason": self.reason, "detail": dict(self.detail)}
        return {**record, **verdict, "attempts": self.attempts}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something is not let through: a reason to count by, and the evidence."""

    reason: str
    detail: Mapping[str, JSON] = field(default_factory=dict)


Outcome = Row | Rejection


def canonical(value: JSON) -> str:
    """JSON text that depends on the value alone: sorted keys, no spaces, little escaped."""
    return _CANONICAL.encode(value)


def digest(*parts: JSON) -> str:
    """16 hex digits of SHA-256 over the canonical JSON of `parts`."""
    text = canonical(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:16]


def seed_for(job_seed: int, stage: str, row_id: str, attempt: int = 0, reply: int = 0) -> int:
    """The seed of one model call, 0 to 2**53 - 1: a hash of where it stands, of nothing else."""
    text = canonical([job_seed, stage, row_id, attempt, reply]).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> (64 - SEED_BITS)
