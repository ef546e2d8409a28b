"""`dedup`: the first of several rows that say the same stays, the others are rejected.

    - {kind: dedup, field: question}                          # near-duplicates, threshold 0.8
    - {kind: dedup, field: [question, answer], method: exact}

    rejected: {"reason": "near_duplicate", "detail": {"twin": "9f2c...", "similarity": 0.87}}

Texts are compared after normalisation: case, quotation marks, punctuation and spaces do not count.
`minhash` looks for candidates by locality-sensitive hashing and then computes their true Jaccard
similarity, so no row is rejected by an estimate.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row, canonical
from pipelines.stages.base import STAGES, Context, Stage, State
from pipelines.stages.minhash import (
    Array,
    Buckets,
    MinHash,
    Sketches,
    Unit,
    chance_of_finding,
    jaccard,
    shingles,
)

TOGETHER = 256  # rows hashed and looked up at once
FEW = 4  # candidates up to this many are compared at once, without looking at the bound first
CROWD = 1_024  # candidates whose bounds are computed at once
LEAST_CHANCE = 0.8  # of finding a pair at the threshold; settings that find fewer are refused


@STAGES.register
class Dedup(Stage):
    """Reject a row whose text an earlier row has, exactly or nearly.

    Attributes:
        field: The column to compare, or several that are compared as one text.
        method: `exact`: equal after normalisation; `minhash`: Jaccard similarity of n-grams.
        threshold: The least similarity of near-duplicates, above 0 to 1.
        num_perm: Hash functions of MinHash.
        bands: Bands the hash values are cut into; more bands find less similar pairs.
        ngram: Pieces in an n-gram.
        unit: Whether the pieces are characters or words.
        normalise: Compare without regard to case, quotation marks, punctuation and spaces.
        within_family: Also compare rows that come from the same source row.
    """

    kind: Literal["dedup"] = "dedup"
    field: str | tuple[str, ...]
    method: Literal["exact", "minhash"] = "minhash"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    num_perm: Annotated[int, Field(ge=1, le=1024)] = 128
    bands: Annotated[int, Field(ge=1, le=1024)] = 32
    ngram: Annotated[int, Field(ge=1, le=100)] = 5
    unit: Unit = "chars"
    normalise: bool = True
    within_family: bool = False

    @field_validator("field")
    @classmethod
    def _names_columns(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("name the column to compare")
        return value

    @model_validator(mode="after")
    def _bands_find_the_threshold(self) -> "Dedup":
        if self.num_perm % self.bands:
            raise ValueError(f"num_perm {self.num_perm} cannot be cut into {self.bands} bands")
        chance = chance_of_finding(self.threshold, num_perm=self.num_perm, bands=self.bands)
        if self.method == "minhash" and chance < LEAST_CHANCE:
            raise ValueError(
                f"{self.bands} bands find only {chance:.0%} of the pairs at similarity "
                f"{self.threshold}: raise bands or the threshold"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared."""
        return (self.field,) if isinstance(self.field, str) else self.field

    def columns_needed(self) -> set[str]:
        """The columns that are compared."""
        return set(self.columns)

    def open_state(self) -> State:
        """An empty memory of texts."""
        return Seen(self)

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Decide on each row in order; the first of several alike wins."""
        seen: Seen = context.state
        while block := list(islice(rows, TOGETHER)):
            yield from seen.decide(block)

    def text(self, row: Row) -> str | Fault:
        """What is compared of a row; columns that hold no text are compared as JSON."""
        missing = [column for column in self.columns if column not in row.data]
        if missing:
            return Fault("missing_column", {"column": missing[0], "columns": sorted(row.data)})
        values = (row.data[column] for column in self.columns)
        texts = (value if isinstance(value, str) else canonical(value) for value in values)
        return "\x1f".join(normalised(text) if self.normalise else text for text in texts)


class Known(NamedTuple):
    """A row that was kept."""

    id: str
    family: str
    text: str


class Seen:
    """The texts of all rows kept so far, and the index that finds them.

    Args:
        stage: The settings.
    """

    def __init__(self, stage: Dedup) -> None:
        self._stage = stage
        self._known: list[Known] = []
        self._committed = 0
        self._buckets = Buckets()
        self._sketches = Sketches()
        self._hashing = MinHash(
            num_perm=stage.num_perm, bands=stage.bands, ngram=stage.ngram, unit=stage.unit
        )

    def additions(self) -> list[JSON]:
        """The rows kept since the last call, each as [id, family, text]."""
        fresh = [list(known) for known in self._known[self._committed :]]
        self._committed = len(self._known)
        return fresh

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave, in its order."""
        items = iter(additions)
        while block := [Known(*item) for item in islice(items, TOGETHER)]:
            keys, sketches = self._hash([known.text for known in block])
            for known, sketch in zip(block, sketches, strict=True):
                self._known.append(known)
                self._sketches.add(sketch)
            self._buckets.add(keys)
        self._committed = len(self._known)

    def decide(self, rows: Sequence[Row]) -> Iterator[Outcome]:
        """Keep or reject each of some rows, in order."""
        texts = [self._stage.text(row) for row in rows]
        keys, sketches = self._hash([text if isinstance(text, str) else "" for text in texts])
        recent: dict[int, list[int]] = {}
        kept: list[int] = []
        for index, (row, text, earlier) in enumerate(
            zip(rows, texts, self._buckets.find(keys), strict=True)
        ):
            if isinstance(text, Fault):
                yield Rejection(row, text.reason, text.detail)
                continue
            own_keys = keys[index].tolist()
            beside = {number for key in own_keys for number in recent.get(key, ())}
            numbers = np.concatenate([earlier, np.array(sorted(beside), dtype=np.uint32)])
            twin = self._twin(Known(row.id, row.family, text), sketches[index], numbers)
            if twin is not None:
                yield Rejection(row, twin.reason, twin.detail)
                continue
            for key in own_keys:
                recent.setdefault(key, []).append(len(self._known))
            self._known.append(Known(row.id, row.family, text))
            self._sketches.add(sketches[index])
            kept.append(index)
            yield row
        self._buckets.add(keys[kept])

    def _hash(self, texts: list[str]) -> tuple[Array, list[Array]]:
        if self._stage.method == "minhash":
            return self._hashing.of(texts)
        digests = (
            blake2b(t.encode("utf-8", "surrogatepass"), digest_size=8).digest() for t in texts
        )
        keys = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 1)
        return keys, [np.zeros(0, dtype=np.uint16)] * len(texts)

    def _twin(self, row: Known, sketch: Array, numbers: Array) -> Fault | None:
        """The first of the candidates that the row duplicates."""
        own: set[Any] | None = None
        for number in self._likely(sketch, numbers):
            known = self._known[number]
            if not self._stage.within_family and related(known.family, row.family):
                continue
            if known.text == row.text:
                return Fault("duplicate", {"twin": known.id, "similarity": 1.0})
            if self._stage.method == "exact":
                continue
            own = own or shingles(row.text, self._stage.ngram, self._stage.unit)
            other = shingles(known.text, self._stage.ngram, self._stage.unit)
            similarity = jaccard(own, other)
            if similarity >= self._stage.threshold:
                detail = {"twin": known.id, "similarity": round(similarity, 4)}
                return Fault("near_duplicate", detail)
        return None

    def _likely(self, sketch: Array, numbers: Array) -> Iterator[int]:
        """The candidates without those that cannot reach the threshold."""
        if self._stage.method == "exact" or len(numbers) <= FEW:
            yield from numbers.tolist()
            return
        for start in range(0, len(numbers), CROWD):
            crowd = numbers[start : start + CROWD]
            bounds = self._sketches.bounds(sketch, crowd)
            yield from crowd[bounds >= self._stage.threshold - 1e-9].tolist()


def related(first: str, second: str) -> bool:
    """Whether two families have a source row in common."""
    return first == second or not set(first.split("+")).isdisjoint(second.split("+"))
