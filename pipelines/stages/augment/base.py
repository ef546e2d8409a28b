"""What all augmentations share: variants of a text, each tried, cleaned and gated.

class Shuffle(Augment):                              # a new augmentation is one short file
    kind: Literal["shuffle"] = "shuffle"

    def propose(self, row, text, slot, attempt, context):
        yield from ()                                # a generator, though it asks nothing
        words = sorted(text.split(), key=...)
        return [Proposal(" ".join(words), {"seed": context.seed(row, attempt, slot)})]

{"question": "When does it open?"}
->  the same row, and {"question": "What time does it open?"} of the same family, whose history ends
    {"operation": "paraphrase", "parent": "9f2c...", "similarity": 0.91, "difference": 0.44, ...}
"""

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from chains.calls import Call, Reply
from chains.text.sentences import finished
from pipelines.cleaning import Cleaning
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.augment.gates import Gates
from pipelines.stages.base import Ask, Context, Embed, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from prompts.errors import UsageError

if TYPE_CHECKING:
    from pipelines.sources.base import SourceView

HOPELESS = {"context_overflow", "unknown_label"}  # reasons that another attempt would only repeat


class Proposal(NamedTuple):
    """A candidate for a variant.

    Attributes:
        text: As the model wrote it; it is cleaned afterwards.
        event: How it came about, for the history: prompt, model, seed.
        fault: Why there is no usable text, if there is none.
        columns: Other columns that the variant changes, such as its label.
    """

    text: str
    event: dict[str, JSON]
    fault: Fault | None = None
    columns: Mapping[str, JSON] = {}


Proposing = Generator[Request, Any, list[Proposal]]


class Judged(NamedTuple):
    """A candidate after the gates.

    Attributes:
        text: Cleaned.
        proposal: Where it comes from.
        fault: The gate it failed, if it did.
        scores: What the gates measured.
    """

    text: str
    proposal: Proposal
    fault: Fault | None
    scores: dict[str, JSON]


class Augment(ModelStage):
    """Adds variants of one column's text; a subclass says how candidates are proposed.

    Every variant has `attempts` tries. A try gives one candidate or several, of which the one that
    passes the gates with the highest rank, and repeats neither the original nor an earlier variant,
    becomes a row of its own with the original's family; a variant whose tries are used up is
    rejected with the reason of the last.

    Attributes:
        field: The column with the text.
        variants: How many variants of each row.
        keep_original: Give out the row itself too; else its first variant takes its place.
        attempts: Tries for each variant, each with another seed.
        gates: What a variant must pass.
    """

    field: Annotated[str, Field(min_length=1)]
    variants: Annotated[int, Field(ge=1, le=100)] = 1
    keep_original: bool = True
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _variants_can_differ(self) -> "Augment":
        most = self.ways * self.candidates
        if self.deterministic and self.variants > most:
            found = "only one" if most == 1 else f"only {most}"
            raise ValueError(f"more variants need a decoding that samples: it gives {found}")
        return self

    @property
    def deterministic(self) -> bool:
        """Whether a second try would only repeat the first."""
        return False

    @property
    def ways(self) -> int:
        """Styles or pivots that variants take in turn."""
        return 1

    @property
    def candidates(self) -> int:
        """How many candidates a try gives."""
        return 1

    @property
    def tries(self) -> int:
        """How often a variant is tried for."""
        return 1 if self.deterministic else self.attempts

    def columns_needed(self) -> set[str]:
        """The column with the text."""
        return {self.field}

    def uses_embedder(self) -> bool:
        """Whether the gates look at the meaning."""
        return self.gates.similarity is not None

    def check(self, job: JobView) -> None:
        """What the gate `label` needs is there."""
        if self.gates.label is not None:
            self.gates.label.check(job, self.field)

    def fingerprint(self, view: "SourceView") -> str:
        """Changes with the file that the gate `label` is calibrated on."""
        gate = self.gates.label
        own = super().fingerprint(view)
        return own if gate is None else own + gate.classifier(self.field).fingerprint(view)

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """Yield requests, be sent their answers, return candidates.

        Args:
            row: The row with the original.
            text: The original.
            slot: Which variant, from 0; with the attempt it decides the seeds.
            attempt: Which try, from 0.
            context: The stage's context.
        """
        raise NotImplementedError

    def tidied(self, variant: str, original: str) -> tuple[str, Fault | None]:
        """A candidate's text as it is taken, and why it cannot be."""
        return cleaned(variant, original)

    def rank(self, scores: Mapping[str, JSON]) -> float:
        """How good a candidate that passed is, from what the gates measured."""
        return float(scores.get("parascore", scores["difference"]))

    def work(self, row: Row, context: Context) -> Work:
        """The row, if it is kept, and its variants, each a row or a rejection."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return [Rejection(row, text.reason, text.detail)]
        if not text.strip():
            return [Rejection(row, "empty", {"column": self.field})]
        outcomes: list[Outcome] = [row.child(self.name, 0)] if self.keep_original else []
        taken: set[str] = set()
        for slot in range(self.variants):
            outcome = yield from self._variant(row, text, slot, taken, context)
            outcomes.append(outcome)
            if isinstance(outcome, Row):
                taken.add(self.gates.key(outcome.data[self.field]))
        return outcomes

    def _variant(
        self, row: Row, text: str, slot: int, taken: set[str], context: Context
    ) -> Generator[Request, Any, Outcome]:
        target = row.child(self.name, slot + self.keep_original)
        for attempt in range(self.tries):
            proposals = yield from self.propose(row, text, slot, attempt, context)
            found = yield from self._judge(target, text, proposals, taken, context)
            best = self._best(found)
            event = {
                "stage": self.name,
                "operation": self.kind,
                "parent": row.id,
                "attempt": attempt,
                **best.proposal.event,
                **best.scores,
            }
            if len(found) > 1:
                event["candidates"] = len(found)
                event["passed"] = sum(judged.fault is None for judged in found)
            made = target.with_data({self.field: best.text, **best.proposal.columns}, event)
            if best.fault is None:
                return made
            rejection = Rejection(made, best.fault.reason, best.fault.detail, attempt + 1)
            if best.fault.reason in HOPELESS:
                break
        return rejection

    def _best(self, found: Sequence[Judged]) -> Judged:
        """The best candidate that passed; where none did, the first."""
        passed = [judged for judged in found if judged.fault is None]
        return max(passed, key=lambda judged: self.rank(judged.scores), default=found[0])

    def _judge(
        self, row: Row, text: str, proposals: Sequence[Proposal], taken: set[str], context: Context
    ) -> Generator[Request, Any, list[Judged]]:
        """The candidates cleaned, why each is refused, and what the gates measured."""
        found = [self._judged(text, proposal, taken) for proposal in proposals]
        asked = [place for place, judged in enumerate(found) if judged.fault is None]
        if asked and self.gates.similarity is not None:
            vectors = yield Embed((text, *(found[place].text for place in asked)))
            for place, vector in zip(asked, vectors[1:], strict=True):
                cosine = float(vectors[0] @ vector)
                variant = found[place].text
                found[place] = found[place]._replace(
                    scores=self.gates.scores(text, variant, cosine),
                    fault=self.gates.fault(text, variant, cosine),
                )
        if self.gates.label is None:
            return found
        for place in [place for place in asked if found[place].fault is None]:
            judged = found[place]
            made = row.with_data({self.field: judged.text, **judged.proposal.columns})
            fault, label = yield from self.gates.label.judge(made, self.field, context)
            found[place] = judged._replace(fault=fault, scores={**judged.scores, "label": label})
        return found

    def _judged(self, text: str, proposal: Proposal, taken: set[str]) -> Judged:
        """A candidate, as far as it can be judged without asking anybody."""
        if proposal.fault is not None:
            return Judged(proposal.text, proposal, proposal.fault, {})
        variant, fault = self.tidied(proposal.text, text)
        fault = fault or self.gates.fault(text, variant)
        if fault is None and self.gates.key(variant) in taken:
            fault = Fault("repeated")
        scores = {} if fault else self.gates.scores(text, variant, None)
        return Judged(variant, proposal, fault, scores)


def ask_one(model: str, call: Call) -> Generator[Request, Any, list[Reply]]:
    """The replies to one call, one at least."""
    [replies] = yield Ask(model, (call,))
    return replies or [Reply("", "error", error="no_reply: the model gave none")]


def cleaned(variant: str, original: str) -> tuple[str, Fault | None]:
    """A reply cleaned as `clean` does, and `empty` or `unfinished` where nothing is left of it.

    The end is cut to a finished sentence only where the original ends with one.
    """
    cleaning = Cleaning(ending=finished(original))
    text = cleaning.clean(variant).text
    if text.strip():
        return text, None
    whole = cleaning.model_copy(update={"ending": False}).clean(variant).text
    return whole, Fault("unfinished" if whole.strip() else "empty")


def reply_fault(reply: Reply, max_tokens: int) -> Fault | None:
    """Why a reply holds no whole text: the model's own reason, or `cut_at_max_tokens`."""
    if reply.finish == "error":
        reason, _, found = reply.error.partition(": ")
        return Fault(reason, {"found": found})
    if reply.finish == "length":
        return Fault("cut_at_max_tokens", {"max_tokens": max_tokens})
    return None


def check_text_prompt(job: JobView, name: str, key: str, *, given: set[str]) -> None:
    """Check that a prompt takes `text`, and that what is not `given` stands in columns.

    Raises:
        UsageError: It does not, or a column is missing.
    """
    prompt = job.prompt(name, key=key)
    if "text" not in prompt.variables:
        known = ", ".join(sorted(prompt.variables)) or "none"
        fix = f"declare it and write {{{{ text }}}} where the text goes (declared: {known})"
        raise UsageError(f"prompt '{name}' has no variable 'text'", fix=fix, key=key)
    if prompt.output.form != "text":
        problem = f"prompt '{name}' answers with {prompt.output.form}, not text"
        raise UsageError(problem, fix="use one with 'output: {form: text}'", key=key)
    job.need(set(prompt.variables) - given, key=key)
