"""`dedup`: the first of several rows that say the same stays, the others are rejected or flagged.

    - {kind: dedup, field: question}                          # near-duplicates, threshold 0.8
    - {kind: dedup, field: [question, answer], method: exact}
    - {kind: dedup, field: question, method: semantic, against: seeds.jsonl, action: flag}

    rejected: {"reason": "near_duplicate", "detail": {"twin": "9f2c...", "similarity": 0.87}}

Texts are compared after normalisation: case, quotation marks, punctuation and spaces do not count.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row, canonical
from pipelines.sources.base import SourceView
from pipelines.stages.base import STAGES, Context, JobView, Stage, State
from pipelines.stages.dedup.against import AnySets, check_sets, fingerprint_sets, read_sets
from pipelines.stages.dedup.exact import Exact
from pipelines.stages.dedup.index import Index
from pipelines.stages.dedup.minhash import Hashing, MinHash, chance_of_finding
from pipelines.stages.dedup.rouge import Rouge
from pipelines.stages.dedup.seen import TOGETHER, Known, Seen, Verdict
from pipelines.stages.dedup.semantic import Semantic
from pipelines.stages.dedup.shingling import Unit
from pipelines.stages.dedup.simhash import SimHash
from pipelines.stages.dedup.substring import Substring

Method = Literal["exact", "minhash", "simhash", "substring", "semantic", "rouge"]

LEAST_CHANCE = 0.8  # of finding a pair at the threshold; settings that find fewer are refused
THRESHOLDS = {"minhash": 0.8, "semantic": 0.9, "rouge": 0.7}
KEYS: dict[str, tuple[Method, ...]] = {
    "threshold": ("minhash", "semantic", "rouge"),
    "num_perm": ("minhash",),
    "bands": ("minhash",),
    "ngram": ("minhash", "simhash"),
    "unit": ("minhash", "simhash"),
    "distance": ("simhash",),
    "span": ("substring",),
    "exact_up_to": ("semantic",),
    "normalise": ("exact", "minhash", "simhash", "substring", "rouge"),
}
"""Settings that not all methods have, and the methods that do."""


@STAGES.register
class Dedup(Stage):
    """Reject or flag a row whose text an earlier row has, exactly or nearly.

    Attributes:
        field: The column to compare, or several that are compared as one text.
        method: How to compare.
        threshold: The least similarity of near-duplicates, above 0 to 1: of sets of n-grams
            (minhash, 0.8), of embeddings (semantic, 0.9), ROUGE-L (rouge, 0.7).
        num_perm: Hash functions of MinHash.
        bands: Bands the hash values are cut into; more bands find less similar pairs.
        ngram: Pieces in an n-gram.
        unit: Whether the pieces are characters or words.
        distance: The most bits, of 64, in which fingerprints of near-duplicates differ.
        span: Words of a repeated run, at least.
        exact_up_to: Texts up to which embeddings are compared with all others.
        normalise: Compare without regard to case, quotation marks, punctuation and spaces.
        within_family: Also compare rows that come from the same source row.
        against: Sets of records that rows are compared with too, by name.
        also: Columns whose texts rows are compared with too, such as seeds; they reject no row.
        action: Whether a duplicate is rejected, or kept with its twin's id in a column.
        adds: That column; null for a row that is no duplicate.
    """

    kind: Literal["dedup"] = "dedup"
    field: str | tuple[str, ...]
    method: Method = "minhash"
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    num_perm: Annotated[int, Field(ge=1, le=1024)] = 128
    bands: Annotated[int, Field(ge=1, le=1024)] = 32
    ngram: Annotated[int, Field(ge=1, le=100)] = 5
    unit: Unit = "chars"
    distance: Annotated[int, Field(ge=0, le=31)] = 6
    span: Annotated[int, Field(ge=2, le=1000)] = 30
    exact_up_to: Annotated[int, Field(ge=1)] = 200_000
    normalise: bool = True
    within_family: bool = False
    against: AnySets = {}
    also: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    action: Literal["reject", "flag"] = "reject"
    adds: Annotated[str, Field(min_length=1)] = "duplicate_of"

    @field_validator("field")
    @classmethod
    def _names_columns(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("name the column to compare")
        return value

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> "Dedup":
        for key, methods in KEYS.items():
            default = type(self).model_fields[key].default
            if self.method not in methods and getattr(self, key) != default:
                raise ValueError(f"'{key}' is a setting of {' and '.join(methods)}: leave it out")
        return self

    @model_validator(mode="after")
    def _bands_find_the_threshold(self) -> "Dedup":
        if self.num_perm % self.bands:
            raise ValueError(f"num_perm {self.num_perm} cannot be cut into {self.bands} bands")
        chance = chance_of_finding(self.least, num_perm=self.num_perm, bands=self.bands)
        if self.method == "minhash" and chance < LEAST_CHANCE:
            raise ValueError(
                f"{self.bands} bands find only {chance:.0%} of the pairs at similarity "
                f"{self.least}: raise bands or the threshold"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared."""
        return (self.field,) if isinstance(self.field, str) else self.field

    @property
    def least(self) -> float:
        """The threshold, or the method's own."""
        return THRESHOLDS.get(self.method, 1.0) if self.threshold is None else self.threshold

    def default_name(self) -> str:
        """The column it adds where it adds one."""
        return super().default_name() if self.action == "flag" else self.kind

    def columns_needed(self) -> set[str]:
        """The columns that are compared, and those of `also`."""
        return {*self.columns, *self.also}

    def columns_added(self) -> set[str]:
        """The column of flags, if there is one."""
        return {self.adds} if self.action == "flag" else set()

    def uses_embedder(self) -> bool:
        """For `semantic`."""
        return self.method == "semantic"

    def check(self, job: JobView) -> None:
        """The sets are there, with their columns."""
        check_sets(self.against, self.columns, job)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the sets."""
        return fingerprint_sets(self.against, view)

    def open_state(self) -> State:
        """An empty memory of texts."""
        return Seen(self)

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Decide on each row in order; the first of several alike wins."""
        seen: Seen = context.state
        while block := list(islice(rows, TOGETHER)):
            for verdict in seen.decide(block, context):
                yield self._outcome(verdict)

    def open_index(self, context: Context) -> Index:
        """An empty index of the method."""
        if self.method == "minhash":
            hashing = Hashing(
                num_perm=self.num_perm, bands=self.bands, ngram=self.ngram, unit=self.unit
            )
            return MinHash(self.least, hashing)
        if self.method == "simhash":
            return SimHash(distance=self.distance, ngram=self.ngram, unit=self.unit)
        if self.method == "substring":
            return Substring(self.span)
        if self.method == "semantic":
            return Semantic(self.least, context.embed, self.exact_up_to)
        return Rouge(self.least) if self.method == "rouge" else Exact()

    def read_sets(self, context: Context) -> Iterator[Known]:
        """The texts of the sets."""
        for name, record, seed in read_sets(self.against, context):
            text = self._text(seed.data, self.columns)
            if isinstance(text, str):
                yield Known(record, "", text, name)

    def items(self, row: Row) -> list[Known | Fault]:
        """The row's texts: those of `also`, then its own; or the one fault that it has, last."""
        found: list[Known | Fault] = []
        for column in self.also:
            text = self._text(row.data, (column,))
            if isinstance(text, Fault):
                return [*found, text]
            found.append(Known(row.id, row.family, text, column))
        own = self._text(row.data, self.columns)
        return [*found, own if isinstance(own, Fault) else Known(row.id, row.family, own)]

    def _text(self, data: Mapping[str, JSON], columns: tuple[str, ...]) -> str | Fault:
        """What is compared; columns that hold no text are compared as JSON."""
        texts = []
        for column in columns:
            if column not in data:
                return Fault("missing_column", {"column": column, "columns": sorted(data)})
            value = data[column]
            texts.append(value if isinstance(value, str) else canonical(value))
        if self.method == "semantic":
            return "\n".join(texts)
        return "\x1f".join([normalised(text) for text in texts] if self.normalise else texts)

    def _outcome(self, verdict: Verdict) -> Outcome:
        row, fault = verdict
        if self.action == "reject" or (fault is not None and fault.reason == "missing_column"):
            return row if fault is None else Rejection(row, fault.reason, fault.detail)
        if fault is None:
            return row.with_data({self.adds: None})
        event = {"stage": self.name, "reason": fault.reason, **fault.detail}
        return row.with_data({self.adds: fault.detail["twin"]}, event)
