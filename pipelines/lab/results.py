"""What a comparison came to, as plain data: the terminal, the HTML page and the lab app take it.

    found = compare(loaded, plan, options)       # a Comparison
    found.variants[1].name                       # "qa/question@short"
    found.summaries[1].rates["accepted"]         # Rate(done=31, of=40, low=0.62, high=0.88)
    found.contrasts[0].verdict                   # "@short accepts 5 to 21 points more ..."
    found.cell(row="9f2c4be0a1d35c77", variant=1, repeat=0).outcomes[0].text
    Comparison.from_json(json.loads(json.dumps(found.as_json()))) == found

Variants and summaries are in the order of the command line; the first variant is the baseline that
every other one is contrasted with. Rows are those that reached the stage, in their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.rows import JSON

SHOWN = 20_000  # characters of a text that a comparison keeps
ACCEPTED = "accepted"


def cut(text: str) -> str:
    """`text`, or its first 20,000 characters and a note on how many are left out."""
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]} [... {len(text) - SHOWN:,} more characters]"


@dataclass(frozen=True, slots=True)
class VariantView:
    """One way to set the stage.

    Attributes:
        name: As it is called on the command line: `qa/question@short`, `hot`, `current`.
        prompt: Name and hash of its prompt; empty where the stage has none.
        model: The job's model that it asks; empty where the stage has none.
        settings: Dotted key of the stage -> value, where it differs from the job.
        source: Text of the prompt file.
    """

    name: str
    prompt: str = ""
    model: str = ""
    settings: dict[str, JSON] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class RowView:
    """A row as it reached the stage; long texts are cut."""

    id: str
    order: str
    data: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """One row that came of a cell, at the end of the job's stages.

    Attributes:
        text: What the stage made; of a row that the stage refused, the reply.
        reason: Why it was rejected; empty for one that was accepted.
        stage: Which stage rejected it.
        detail: The evidence.
        scores: Numbers that the stage and later ones added: column -> value.
    """

    text: str
    reason: str = ""
    stage: str = ""
    detail: dict[str, JSON] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether it came through all stages."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Cell:
    """One row under one variant, once.

    Attributes:
        row: The row's id.
        variant: Place of the variant.
        repeat: Counted from 0; repeat 0 has the seeds of a run of the job.
        outcomes: Several where the stage makes several rows of one; empty where a later row took
            the place.
        messages: The first chat that was sent, as [role, content]; empty where none was.
        replies: Replies of the stage's model, every try counted.
        tokens: That all stages generated for it from the compared one on.
        logprob: Mean log-probability of a token of the stage's replies; None where none is told.
    """

    row: str
    variant: int
    repeat: int
    outcomes: tuple[OutcomeView, ...]
    messages: tuple[tuple[str, str], ...] = ()
    replies: int = 0
    tokens: int = 0
    logprob: float | None = None

    @property
    def accept_rate(self) -> float:
        """Share of its outcomes that were accepted, 0 to 1."""
        if not self.outcomes:
            return 0.0
        return sum(each.accepted for each in self.outcomes) / len(self.outcomes)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its Wilson interval at 95 %; bounds are 0 and 1 where nothing was counted."""

    done: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share; None where nothing was counted."""
        return self.done / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Summary:
    """What one variant came to.

    Attributes:
        rates: `accepted` (rows at the end, of all outcomes), `parsed`, `refused`, `whole` (not cut
            at max_tokens) of all replies, `length` (of the texts whose length the stage measured,
            those within), and `gate:NAME` for each later stage that rejects. What does not apply
            is left out.
        figures: `words` (mean), `distinct_1`, `distinct_2`, `exact_duplicates`,
            `near_duplicates`, `self_bleu`, `similarity` (cosine to the row's texts), `logprob` (a
            token), `tokens_per_accepted`, `seconds_per_accepted` (at the speed of the calls that
            were paid now), and `score:COLUMN`. None where it cannot be told.
        reasons: `stage: reason` -> outcomes, the most frequent first.
    """

    rates: dict[str, Rate]
    figures: dict[str, float | None]
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A variant against the baseline in one measure, paired by row.

    Attributes:
        variant: Place of the variant.
        measure: `accepted` or `score:COLUMN`.
        rows: Rows that both have.
        difference: Mean over rows of variant minus baseline.
        low: Lower bound, from a bootstrap over rows at a level that holds for all variants at once.
        high: Upper bound.
        better: Rows in which the variant is above the baseline.
        worse: Rows in which it is below.
        p: Of the paired sign-flip test, adjusted by Holm over all variants of the measure.
        shown: Whether a difference is shown: p below 0.05 and an interval without zero.
        rows_needed: Further rows that would show a difference of 5 points (accepted), with a chance
            of 80 %; None where a difference is shown, or for scores.
        verdict: All this in a sentence.
    """

    variant: int
    measure: str
    rows: int
    difference: float
    low: float
    high: float
    better: int
    worse: int
    p: float
    shown: bool
    rows_needed: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Calls:
    """Model calls of the command, and how many of them the ledger answered."""

    asked: int = 0
    known: int = 0

    @property
    def paid(self) -> int:
        """Calls that models answered."""
        return self.asked - self.known


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of a comparison.

    Attributes:
        job: The job's name.
        stage: The stage that was varied.
        repeats: Times that every row went through every variant.
        variants: The first is the baseline.
        rows: Those that reached the stage.
        cells: Ordered by row, then variant, then repeat.
        summaries: One for each variant.
        contrasts: One for each variant but the first and each measure.
        before: Calls of the stages before the compared one.
        calls: Calls of the compared stage and of those behind it.
    """

    job: str
    stage: str
    repeats: int
    variants: tuple[VariantView, ...]
    rows: tuple[RowView, ...]
    cells: tuple[Cell, ...]
    summaries: tuple[Summary, ...]
    contrasts: tuple[Contrast, ...]
    before: Calls = Calls()
    calls: Calls = Calls()

    def cell(self, *, row: str, variant: int, repeat: int = 0) -> Cell:
        """The cell at that place.

        Raises:
            KeyError: There is none.
        """
        for cell in self.cells:
            if (cell.row, cell.variant, cell.repeat) == (row, variant, repeat):
                return cell
        raise KeyError((row, variant, repeat))

    def as_json(self) -> dict[str, JSON]:
        """The same as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Comparison":
        """The comparison that `as_json` gave."""
        return cls(
            job=data["job"],
            stage=data["stage"],
            repeats=data["repeats"],
            variants=tuple(VariantView(**each) for each in data["variants"]),
            rows=tuple(RowView(**each) for each in data["rows"]),
            cells=tuple(_cell(each) for each in data["cells"]),
            summaries=tuple(_summary(each) for each in data["summaries"]),
            contrasts=tuple(Contrast(**each) for each in data["contrasts"]),
            before=Calls(**data["before"]),
            calls=Calls(**data["calls"]),
        )


def columns_sent(row: RowView, cells: Iterable[Cell]) -> dict[str, JSON]:
    """The columns of a row that its cells' messages hold; all where none is held whole."""
    contents = (content for cell in cells for _, content in cell.messages)
    sent = " ".join(" ".join(content.split()) for content in contents)
    held = {
        name: value
        for name, value in row.data.items()
        if isinstance(value, str) and value.strip() and " ".join(value.split()) in sent
    }
    return held or row.data


def _cell(data: Mapping[str, Any]) -> Cell:
    outcomes = tuple(OutcomeView(**each) for each in data["outcomes"])
    messages = tuple((role, content) for role, content in data["messages"])
    return Cell(**{**data, "outcomes": outcomes, "messages": messages})


def _summary(data: Mapping[str, Any]) -> Summary:
    rates = {name: Rate(**rate) for name, rate in data["rates"].items()}
    return Summary(rates, data["figures"], data["reasons"])
