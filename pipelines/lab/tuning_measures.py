"""What a trial came to: rows through a job's stages in memory, and the measures of `tune`.

    tally = Tally(loaded, caller, field="review")
    tally.feed(rows[:8])
    tally.measure("accept_rate")          # 0.75
    tally.measure("mean:judge")           # 3.5, of the accepted rows' column `judge`

Nothing is written but the ledger. Measures are those of the rows fed so far.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.calling import Caller
from pipelines.evaluation.intrinsic import duplicates
from pipelines.evaluation.surface import compression_ratio, distinct, self_bleu, tokens
from pipelines.evaluation.vectors import vendi
from pipelines.job import LoadedJob
from pipelines.rows import Rejection, Row
from pipelines.runner import StageContext
from pipelines.soundness import sound
from pipelines.stages import ModelStage
from prompts.errors import UsageError, unknown

DIGITS = 6
_WORDS = 5_000  # words that distinct-n is counted on, as in `evaluate`


class Tally:
    """A job's stages, each remembering what it has seen, and what came of the rows.

    Args:
        loaded: The job, checked.
        caller: Its models.
        field: The column whose texts are measured.
    """

    def __init__(self, loaded: LoadedJob, caller: Caller, field: str) -> None:
        self.accepted: list[Row] = []
        self.rejected: list[Rejection] = []
        self.sources: list[str] = []
        self._loaded = loaded
        self._caller = caller
        self._field = field
        self._contexts = {s.name: StageContext(s, loaded, caller) for s in loaded.job.stages}
        self._tokens = 0

    def feed(self, rows: Sequence[Row]) -> None:
        """Take further source rows through all stages."""
        before = self._caller.meter.replied
        self.sources += [row.family for row in rows]
        for stage in self._loaded.job.stages:
            outcomes = sound(list(stage.run(iter(rows), self._contexts[stage.name])), rows)
            self.rejected += [o for o in outcomes if isinstance(o, Rejection)]
            kept = [outcome for outcome in outcomes if isinstance(outcome, Row)]
            rows = sorted(kept, key=lambda row: row.order)
        self.accepted += rows
        self._tokens += self._caller.meter.replied - before

    def texts(self) -> list[str]:
        """The measured texts of the accepted rows."""
        found = [row.data.get(self._field) for row in self.accepted]
        return [text for text in found if isinstance(text, str) and text.strip()]

    def measure(self, name: str) -> float | None:
        """A measure by name; None where there is nothing to measure."""
        head, _, column = name.partition(":")
        value = self._mean(column) if head == "mean" else MEASURES[name](self)
        return None if value is None else round(float(value), DIGITS)

    def shares(self) -> dict[str, float]:
        """For each source row the share of what came of it that was accepted, 0 to 1."""
        good = Counter(row.family for row in self.accepted)
        bad = Counter(rejection.row.family for rejection in self.rejected)
        return {key: good[key] / max(1, good[key] + bad[key]) for key in self.sources}

    def accept_rate(self) -> float | None:
        """Accepted of all rows, those that stages have made included."""
        of = len(self.accepted) + len(self.rejected)
        return len(self.accepted) / of if of else None

    def tokens_per_accepted(self) -> float | None:
        """Tokens that all stages generated for one accepted row, tries that failed included."""
        return self._tokens / len(self.accepted) if self.accepted else None

    def logprob(self) -> float | None:
        """Mean log-probability of a token, over all events that tell one."""
        told = [event for row in self.accepted for event in row.history if "logprob" in event]
        count = sum(event["tokens"][1] for event in told if "tokens" in event)
        return sum(event["logprob"] for event in told) / count if count else None

    def vendi_score(self) -> float | None:
        """Effective number of different texts by their embeddings, over the number of texts."""
        texts = self.texts()
        return vendi(self._caller.embed(texts)) / len(texts) if texts else None

    def _mean(self, column: str) -> float | None:
        found = [row.data.get(column) for row in self.accepted]
        numbers = [float(value) for value in found if isinstance(value, int | float)]
        return sum(numbers) / len(numbers) if numbers else None


def _words(tally: Tally) -> float | None:
    texts = tally.texts()
    return sum(len(tokens(text)) for text in texts) / len(texts) if texts else None


def _distinct(order: int) -> Callable[[Tally], float | None]:
    return lambda tally: distinct([tokens(text) for text in tally.texts()], order, _WORDS)


def _duplicates(name: str) -> Callable[[Tally], float | None]:
    def share(tally: Tally) -> float | None:
        texts = tally.texts()
        return float(duplicates(texts)[name]) if texts else None

    return share


MEASURES: dict[str, Callable[[Tally], float | None]] = {
    "accept_rate": Tally.accept_rate,
    "yield": lambda tally: len(tally.accepted) / len(tally.sources) if tally.sources else None,
    "tokens": Tally.tokens_per_accepted,
    "logprob": Tally.logprob,
    "words": _words,
    "distinct_1": _distinct(1),
    "distinct_2": _distinct(2),
    "self_bleu": lambda tally: self_bleu([tokens(text) for text in tally.texts()]),
    "compression_ratio": lambda tally: compression_ratio(tally.texts()),
    "exact_duplicates": _duplicates("exact_duplicates"),
    "near_duplicates": _duplicates("near_duplicates"),
    "vendi": Tally.vendi_score,
}
"""Measures by name; beside them `mean:COLUMN`."""


def check_measure(name: str, key: str) -> None:
    """Refuse a measure that there is not.

    Raises:
        UsageError: With the nearest one named.
    """
    head, _, column = name.partition(":")
    if head == "mean" and column:
        return
    if name not in MEASURES:
        raise unknown("measure", name, [*MEASURES, "mean:COLUMN"], key=key)


def measured_column(loaded: LoadedJob, wanted: str) -> str:
    """The column whose texts are measured: the one asked for, else the last a model fills.

    Raises:
        UsageError: The job has no such column.
    """
    columns = loaded.check()
    if wanted:
        if columns and wanted not in columns:
            raise unknown("column", wanted, sorted(columns), key="field")
        return wanted
    stages = [stage for stage in loaded.job.stages if isinstance(stage, ModelStage)]
    written = [stage.default_name() for stage in stages if stage.columns_added()]
    fields = [getattr(stage, "adds", "") for stage in stages]
    named = [field if isinstance(field, str) else field[0] for field in fields if field]
    if not named and not written:
        fix = "name the column to measure with 'field' in the space"
        raise UsageError("no stage of the job writes a column with a model", fix=fix)
    return (named or written)[-1]
