"""Variants of one stage on the same rows with the same seeds, and what that shows.

    plan = Plan("question", variants=("qa/question", "@short"), rows=40)
    found = compare(loaded, plan, Options())
    found.contrasts[0].verdict       # "@short accepts 5 to 21 points more rows than ..."

A seed is made of the job's, the stage, the row and the repeat, never of the variant, so that what
differs comes from the variant. Repeat 0 has the seeds of a run: what a run has paid is not paid
again, and the other way round.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from pipelines.calling import Caller
from pipelines.evaluation.surface import tokens
from pipelines.job import LoadedJob
from pipelines.lab.cells import Gate, Trace, rows_at, stage_named, trial
from pipelines.lab.contrasts import contrasts
from pipelines.lab.metrics import (
    Cost,
    Similarity,
    mean_logprob,
    scores_of,
    summarise,
    text_of,
    texts_made,
)
from pipelines.lab.results import (
    Calls,
    Cell,
    Comparison,
    OutcomeView,
    RowView,
    Summary,
    VariantView,
    cut,
)
from pipelines.lab.variants import Settings, Variant, prompt_of, read_variants, varied, view
from pipelines.launch import Options, default_ledger, open_caller
from pipelines.ledger import Ledger
from pipelines.rows import JSON, Outcome, Rejection, Row, seed_for
from pipelines.stages.base import Stage
from prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare.

    Attributes:
        stage: Name of the stage to vary.
        variants: Names of variants; see `pipelines.lab.variants`.
        settings: Further variants: name -> key of the stage -> value.
        models: Names of the job's models; every variant asks each of them.
        rows: Rows that reach the stage.
        repeats: Times that each row goes through each variant, with other seeds each.
        similarity: Measure the cosine of texts to the row's by the job's embedder.
        paired: The same seeds for every variant. Without, the arms are independent.
    """

    stage: str
    variants: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    models: tuple[str, ...] = ()
    rows: int = 20
    repeats: int = 1
    similarity: bool = False
    paired: bool = True


@dataclass(slots=True)
class _Arm:
    """One variant as it is tried."""

    variant: Variant
    view: VariantView
    stage: Stage
    prompt: Prompt | None
    repeats: list[list[Trace]] = field(default_factory=list)
    gates: dict[str, Gate] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    @property
    def traces(self) -> list[Trace]:
        return [trace for traces in self.repeats for trace in traces]


def compare(
    loaded: LoadedJob,
    plan: Plan,
    options: Options,
    *,
    caller: Caller | None = None,
    rows: Sequence[Row] | None = None,
) -> Comparison:
    """Try all variants and contrast them with the first.

    Args:
        loaded: The job.
        plan: What to compare.
        options: Ledger, and how to open models.
        caller: Answers calls; left out, one is opened and closed.
        rows: The rows that reach the stage; left out, the job's first ones.

    Raises:
        UsageError: No such stage or variant, a variant that does not fit, no row.
        Interrupted: The user asked to stop; what was paid for is in the ledger.
        TextmillError: A source or a model failed.
    """
    loaded.check()
    with ExitStack() as stack:
        if caller is None:
            ledger = stack.enter_context(Ledger(options.ledger or default_ledger()))
            caller = stack.enter_context(closing(open_caller(loaded, ledger, options)))
        return _Comparing(loaded, plan, caller, options).all(rows)


class _Comparing:
    def __init__(self, loaded: LoadedJob, plan: Plan, caller: Caller, options: Options) -> None:
        self.loaded = loaded
        self.plan = plan
        self.caller = caller
        self.watch = options.watch
        stage = loaded.job.stages[stage_named(loaded, plan.stage)]
        variants = read_variants(loaded, stage, plan.variants, plan.settings, plan.models)
        # All are built before the first call: a variant that does not fit costs nothing.
        self.arms = [self._arm(variant) for variant in variants]

    def all(self, rows: Sequence[Row] | None) -> Comparison:
        plan, caller = self.plan, self.caller
        start = self._calls()
        if rows is None:
            rows = rows_at(self.loaded, plan.stage, plan.rows, caller, self.watch.on_stage)
        middle = self._calls()
        for repeat in range(plan.repeats):
            for place in range(len(self.arms)):
                self._try(place, repeat, rows)
        end = self._calls()
        cells = self._cells()
        summaries = self._summaries()
        names = [arm.variant.name for arm in self.arms]
        return Comparison(
            job=self.loaded.job.name,
            stage=plan.stage,
            repeats=plan.repeats,
            variants=tuple(arm.view for arm in self.arms),
            rows=tuple(_row_view(row) for row in rows),
            cells=cells,
            summaries=summaries,
            contrasts=contrasts(names, cells),
            before=_between(start, middle),
            calls=_between(middle, end),
        )

    def _arm(self, variant: Variant) -> _Arm:
        made = varied(self.loaded, self.plan.stage, variant, self.loaded.seed)
        stage = made.job.stages[stage_named(made, self.plan.stage)]
        name = prompt_of(stage)
        prompt = made.prompt(name) if name else None
        return _Arm(variant, view(made, self.plan.stage, variant), stage, prompt)

    def _try(self, place: int, repeat: int, rows: Sequence[Row]) -> None:
        arm, meter = self.arms[place], self.caller.meter
        self.watch.on_stage(arm.variant.name)
        before = (meter.tokens, meter.seconds)
        seed = self._seed(place, repeat)
        made = varied(self.loaded, self.plan.stage, arm.variant, seed)
        arm.repeats.append(trial(made, self.plan.stage, rows, self.caller, arm.gates))
        arm.cost.tokens += meter.tokens - before[0]
        arm.cost.seconds += meter.seconds - before[1]

    def _seed(self, place: int, repeat: int) -> int:
        """The job's seed, and one made from it for each further repeat."""
        own = place if not self.plan.paired else 0
        if not repeat and not own:
            return self.loaded.seed
        return seed_for(self.loaded.seed, "repeat", str(own), repeat)

    def _calls(self) -> Calls:
        return Calls(self.caller.meter.calls, self.caller.meter.known)

    def _cells(self) -> tuple[Cell, ...]:
        cells = [
            _cell(arm.stage, trace, place, repeat)
            for place, arm in enumerate(self.arms)
            for repeat, traces in enumerate(arm.repeats)
            for trace in traces
        ]
        order = {trace.row.id: rank for rank, trace in enumerate(self.arms[0].repeats[0])}
        return tuple(sorted(cells, key=lambda c: (order[c.row], c.variant, c.repeat)))

    def _summaries(self) -> tuple[Summary, ...]:
        made = [texts_made(arm.stage, arm.traces) for arm in self.arms]
        words = min(sum(len(tokens(text)) for text in texts) for texts in made)
        similarity = self._similarity() if self.plan.similarity else None
        return tuple(
            summarise(
                arm.stage,
                arm.prompt,
                arm.traces,
                arm.gates,
                arm.cost,
                words=words,
                similarity=similarity,
            )
            for arm in self.arms
        )

    def _similarity(self) -> Similarity:
        def similarity(pairs: Sequence[tuple[str, str]]) -> float | None:
            if not pairs:
                return None
            sources = self.caller.embed([source for source, _ in pairs])
            texts = self.caller.embed([text for _, text in pairs])
            return float((sources * texts).sum(1).mean())

        return similarity


def _cell(stage: Stage, trace: Trace, variant: int, repeat: int) -> Cell:
    return Cell(
        row=trace.row.id,
        variant=variant,
        repeat=repeat,
        outcomes=tuple(_outcome(stage, trace.row, outcome) for outcome in trace.outcomes),
        messages=tuple((message.role, cut(message.content)) for message in trace.messages),
        replies=len(trace.replies),
        tokens=trace.tokens,
        logprob=mean_logprob(trace.replies),
    )


def _outcome(stage: Stage, before: Row, outcome: Outcome) -> OutcomeView:
    text = cut(text_of(stage, before, outcome))
    scores = scores_of(before, outcome)
    if not isinstance(outcome, Rejection):
        return OutcomeView(text, scores=scores)
    detail = {key: value for key, value in outcome.detail.items() if key != "reply"}
    return OutcomeView(text, outcome.reason, outcome.stage, _shown(detail), scores)


def _row_view(row: Row) -> RowView:
    return RowView(row.id, ".".join(map(str, row.order)), _shown(row.data))


def _shown(data: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same with long texts cut, also those inside of lists and mappings."""
    return {key: _cut(value) for key, value in data.items()}


def _cut(value: JSON) -> JSON:
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, dict):
        return _shown(value)
    return [_cut(item) for item in value] if isinstance(value, list | tuple) else value


def _between(start: Calls, end: Calls) -> Calls:
    return Calls(end.asked - start.asked, end.known - start.known)
