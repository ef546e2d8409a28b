"""`run --dry-run`: the prompts as they will be sent and what the first block costs; no model.

    === question (generate)
        user     | Ask about night trains.
                 64 calls: 0 known, 64 paid, 0 assumed; 1,210 prompt tokens

A row is followed through the stages as long as the ledger knows its replies. From its first unknown
call on, what happens to it cannot be known: that it gets through, that no reply is asked for twice,
and so one call for each reply of each later stage is assumed, and the count is called an estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from chains.calls import Call, Message, Reply, Wanted
from chains.decoding.plans import Plans
from chains.models import TokenSpans
from pipelines.calling import Caller
from pipelines.console import HEAD, NOTE, Line, beside, labelled, say, show_json, show_lines
from pipelines.job import LoadedJob
from pipelines.launch import outputs_folder
from pipelines.ledger import Ledger, call_key, vector_key
from pipelines.rows import Outcome, Row
from pipelines.runner import StageContext
from pipelines.stages import Ask, Embed, ModelStage, RunnableStage, Stage
from pipelines.supply import supply
from prompts.errors import ModelError, TextmillError

_NO_LIMIT = 1 << 60


@dataclass(slots=True)
class Forecast:
    """What one stage will ask for in the first block.

    Attributes:
        known: Calls that the ledger, or an equal call before, will answer.
        paid: Calls that will be paid, as far as rows can be followed.
        assumed: Calls assumed for rows that cannot be followed this far.
        prompt_tokens: Tokens of the prompts of paid calls, without what a chat template adds.
        example: The first prompt, rendered.
    """

    known: int = 0
    paid: int = 0
    assumed: int = 0
    prompt_tokens: int = 0
    example: tuple[Message, ...] = field(default=())

    def figures(self) -> dict[str, int]:
        """The counts by name."""
        names = ("known", "paid", "assumed", "prompt_tokens")
        return {name: getattr(self, name) for name in names}


def dry_run(loaded: LoadedJob, ledger: Path | None) -> dict[str, Forecast]:
    """A forecast for each stage that asks models, over the job's first block.

    Raises:
        TextmillError: A source cannot be read, or the ledger is damaged.
    """
    outcomes = (item.outcome for item in supply(loaded, passes=1))
    rows = list(islice((o for o in outcomes if isinstance(o, Row)), loaded.job.block))
    with Ledger(ledger or Path(":memory:")) as memory:
        follower = _Follower(loaded, memory)
        for stage in loaded.job.stages:
            rows = follower.follow(stage, rows)
    return follower.forecasts


def show_dry_run(
    loaded: LoadedJob, *, out: Path | None, ledger: Path | None, as_json: bool
) -> None:
    """Show prompts, calls and tokens of a job's first block.

    Raises:
        TextmillError: As `dry_run`, or the job does not fit together.
    """
    loaded.check()
    folder = out.parent if out is not None else outputs_folder()
    file = ledger or folder / "ledger.sqlite"
    forecasts = dry_run(loaded, file if file.exists() else None)
    if as_json:
        stages = {name: forecast.figures() for name, forecast in forecasts.items()}
        show_json({"block": loaded.job.block, "stages": stages})
        return
    kinds = {stage.name: stage.kind for stage in loaded.job.stages}
    for name, forecast in forecasts.items():
        show_lines(_lines(name, kinds[name], forecast))
    if any(forecast.assumed for forecast in forecasts.values()):
        say("'assumed' counts are estimates: they depend on replies that are not known yet")
    say(f"figures are for the first block of {loaded.job.block} seed rows; no model was loaded")


def _lines(name: str, kind: str, forecast: Forecast) -> list[Line]:
    lines = [Line(f"=== {name}" if name == kind else f"=== {name} ({kind})", HEAD)]
    for message in forecast.example:
        lines += labelled(message.role, message.content)
    calls = forecast.known + forecast.paid + forecast.assumed
    parts = f"{forecast.known} known, {forecast.paid} paid, {forecast.assumed} assumed"
    tokens = f"{forecast.prompt_tokens:,} prompt tokens"
    return [*lines, beside(f"{calls} calls: {parts}; {tokens}", NOTE), Line("")]


class _NotKnownError(TextmillError):
    """The ledger does not know all that is asked; no stage takes it for the fault of a row."""

    def __init__(self) -> None:
        super().__init__("the ledger does not know all that is asked")


class _Unloaded(StageContext):
    """A stage's context in which a model is its tokenizer and what the job says of it."""

    def __init__(self, stage: Stage, follower: "_Follower") -> None:
        super().__init__(stage, follower.loaded, follower.caller)
        self._follower = follower

    def model_label(self, model: str) -> str:
        """The model's name in the job."""
        return model

    def count_tokens(self, model: str, messages: Sequence[Message]) -> int:
        """Length of the messages' texts in the model's tokens."""
        return self._follower.tokens(model, messages)

    def window(self, model: str) -> int:
        """The window that the job gives the model; no limit where it gives none."""
        return self.spec(model).window or _NO_LIMIT

    def embedder(self) -> str:
        """Fingerprint of the job's embedder, which is not opened."""
        return self._follower.embedder()

    def indexes(self) -> None:
        """Nowhere: a dry run writes nothing."""

    def embed(self, texts: Sequence[str]) -> Any:
        """Vectors, as far as the ledger has them all."""
        return _known_or_raise(self._follower.embed(texts))

    def answer(self, ask: Ask) -> list[list[Reply]]:
        """Replies, as far as the ledger has them all."""
        answers: list[list[Reply]] = _known_or_raise(self._follower.ask(self._stage.name, ask))
        return answers


def _known_or_raise(found: Any) -> Any:
    if found is None:
        raise _NotKnownError
    return found


class _Follower:
    def __init__(self, loaded: LoadedJob, ledger: Ledger) -> None:
        self.loaded = loaded
        self.ledger = ledger
        self.caller = Caller(loaded.job.models, loaded.job.embedder, ledger, offline=True)
        self.forecasts: dict[str, Forecast] = {}
        self.lost = 0
        self._prints: dict[str, str | None] = {}
        self._tokenizers: dict[str, TokenSpans] = {}
        self._paid: set[bytes] = set()

    def follow(self, stage: Stage, rows: list[Row]) -> list[Row]:
        """The rows of the block that can be followed behind `stage`."""
        context = _Unloaded(stage, self)
        if not isinstance(stage, ModelStage | RunnableStage):
            try:
                return [o for o in stage.run(iter(rows), context) if isinstance(o, Row)]
            except _NotKnownError:
                self.lost += len(rows)
                return []
        forecast = self.forecasts.setdefault(stage.name, Forecast())
        calls, grows = _calls_and_rows(stage)
        forecast.assumed += self.lost * calls
        followed: list[Row] = []
        for row in rows:
            asked = forecast.known + forecast.paid
            outcomes = self._work(stage, row, context)
            if outcomes is None:
                self.lost += 1
                forecast.assumed += max(0, asked + calls - forecast.known - forecast.paid)
            else:
                followed += [o for o in outcomes if isinstance(o, Row)]
        self.lost *= grows
        return followed

    def tokens(self, model: str, messages: Sequence[Message]) -> int:
        """Length of the messages' texts; in words where the tokenizer is not on this machine."""
        if model not in self._tokenizers:
            self._tokenizers[model] = self._open_tokenizer(model)
        return sum(self._tokenizers[model].count(message.content) for message in messages)

    def _open_tokenizer(self, model: str) -> TokenSpans:
        from chains.models import open_tokenizer
        from chains.models.tokens import WordSpans

        try:
            return open_tokenizer(self.loaded.model(model), offline=True)
        except ModelError as exc:
            say(f"warning: {model}: {exc}; its tokens are counted as words")
            return WordSpans()

    def _work(self, stage: Stage, row: Row, context: StageContext) -> list[Outcome] | None:
        """The row's outcomes, or None from the first request that nothing known answers."""
        if not isinstance(stage, ModelStage):  # what a Runnable asks, and whom, is its own affair
            return None
        work = stage.safe_work(row, context)
        answer: Any = None
        while True:
            try:
                request = work.send(answer)
            except StopIteration as stop:
                outcomes: list[Outcome] = stop.value
                return outcomes
            if isinstance(request, Embed):
                answer = self.embed(request.texts)
            else:
                answer = self.ask(stage.name, request)
            if answer is None:
                work.close()
                return None

    def embedder(self) -> str:
        """Fingerprint of the job's embedder."""
        from chains.embedding import fingerprint

        return fingerprint(self.loaded.job.embedder, offline=True)

    def embed(self, texts: Sequence[str]) -> Any:
        """The vectors of the texts; None where the ledger lacks one."""
        import numpy as np

        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        print_ = self.embedder()
        keys = [vector_key(print_, text) for text in texts]
        known = self.ledger.get_vectors(list(dict.fromkeys(keys)))
        return np.stack([known[key] for key in keys]) if len(known) == len(set(keys)) else None

    def ask(self, stage: str, request: Ask) -> Any:
        """The replies to the calls of a stage; None where the ledger lacks one."""
        forecast = self.forecasts.setdefault(stage, Forecast())
        forecast.example = forecast.example or request.calls[0].messages
        plans = Plans(request.calls)
        try:
            while plans.running:
                plans.advance(partial(self._known, request.model, forecast))
        except _NotKnownError:
            return None
        return [plans.replies[index] for index in range(len(request.calls))]

    def _known(self, asked: str, forecast: Forecast, wanted: Wanted) -> list[list[Reply]]:
        """The replies to these calls; an empty name means `asked`."""
        found: list[list[Reply]] = []
        for name, call in wanted:
            model = name or asked
            fingerprint = self._fingerprint(model)
            key = call_key(fingerprint or model, call)
            known = self.ledger.get([key]) if fingerprint else {}
            self._count(model, key, call, forecast, known=key in known)
            found += known.values()
        if len(found) < len(wanted):
            raise _NotKnownError
        return found

    def _count(
        self, model: str, key: bytes, call: Call, forecast: Forecast, *, known: bool
    ) -> None:
        if known or key in self._paid:
            forecast.known += 1
            return
        self._paid.add(key)
        forecast.paid += 1
        forecast.prompt_tokens += self.tokens(model, call.messages)

    def _fingerprint(self, model: str) -> str | None:
        """None for a model that is not on this machine: the ledger cannot know its calls."""
        if model not in self._prints:
            try:
                self._prints[model] = self.caller.fingerprint(model)
            except ModelError as exc:
                say(f"warning: {model}: {exc}")
                self._prints[model] = None
        return self._prints[model]


def _calls_and_rows(stage: Stage) -> tuple[int, int]:
    """The calls that a row is assumed to cost at a stage, and the rows it is assumed to become."""
    variants = getattr(stage, "variants", 0)
    if variants:
        return variants, variants + getattr(stage, "keep_original", False)
    decoding = getattr(stage, "decoding", None)
    if decoding is None and stage.uses_embedder():  # it asks no model but the embedder
        return 0, 1
    replies = getattr(decoding, "n", 1)
    if getattr(decoding, "joint", False):
        return getattr(decoding, "candidates", 1), replies
    return replies, replies
