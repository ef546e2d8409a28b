"""What all augmentations share: variants of a text, each tried, cleaned and gated.

class Shuffle(Augment):                              # a new augmentation is one short file
    kind: Literal["shuffle"] = "shuffle"

    def propose(self, row, text, slot, attempt, context):
        words = sorted(text.split(), key=...)
        return Proposal(" ".join(words), {"seed": context.seed(row, attempt, slot)})
        yield                                        # a generator, though it asks nothing

{"question": "When does it open?"}
->  the same row, and {"question": "What time does it open?"} of the same family, whose history ends
    {"operation": "paraphrase", "parent": "9f2c...", "similarity": 0.91, "difference": 0.44, ...}
"""

from collections.abc import Generator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, model_validator

from chains.calls import Call, Reply
from chains.decoding import Decoding
from chains.text.sentences import finished
from pipelines.cleaning import Cleaning
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.augment.gates import Gates
from pipelines.stages.base import Ask, Context, Embed, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from prompts.errors import UsageError

HOPELESS = {"context_overflow"}  # reasons that another attempt would only repeat


class Proposal(NamedTuple):
    """A candidate for a variant.

    Attributes:
        text: As the model wrote it; it is cleaned afterwards.
        event: How it came about, for the history: prompt, model, seed.
        fault: Why there is no usable text, if there is none.
    """

    text: str
    event: dict[str, JSON]
    fault: Fault | None = None


Proposing = Generator[Request, Any, Proposal]


class Augment(ModelStage):
    """Adds variants of one column's text; a subclass says how one is proposed.

    Every variant has `attempts` tries. The first candidate that passes the gates and repeats
    neither the original nor an earlier variant becomes a row of its own with the original's family;
    a variant whose tries are used up is rejected with the reason of the last.

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
        if self.deterministic and self.variants > 1:
            raise ValueError("several variants need a decoding that samples: it gives only one")
        return self

    @property
    def deterministic(self) -> bool:
        """Whether a second try would only repeat the first."""
        return False

    def columns_needed(self) -> set[str]:
        """The column with the text."""
        return {self.field}

    def uses_embedder(self) -> bool:
        """Whether the gates look at the meaning."""
        return self.gates.similarity is not None

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """Yield requests, be sent their answers, return a candidate.

        Args:
            row: The row with the original.
            text: The original.
            slot: Which variant, from 0; with the attempt it decides the seeds.
            attempt: Which try, from 0.
            context: The stage's context.
        """
        raise NotImplementedError

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
                taken.add(normalised(outcome.data[self.field]))
        return outcomes

    def _variant(
        self, row: Row, text: str, slot: int, taken: set[str], context: Context
    ) -> Generator[Request, Any, Outcome]:
        target = row.child(self.name, slot + self.keep_original)
        tries = 1 if self.deterministic else self.attempts
        for attempt in range(tries):
            proposal = yield from self.propose(row, text, slot, attempt, context)
            variant, fault, scores = yield from self._judge(text, proposal, taken)
            event = {
                "stage": self.name,
                "operation": self.kind,
                "parent": row.id,
                "attempt": attempt,
                **proposal.event,
                **scores,
            }
            made = target.with_data({self.field: variant}, event)
            if fault is None:
                return made
            rejection = Rejection(made, fault.reason, fault.detail, attempt + 1)
            if fault.reason in HOPELESS:
                break
        return rejection

    def _judge(
        self, text: str, proposal: Proposal, taken: set[str]
    ) -> Generator[Request, Any, tuple[str, Fault | None, dict[str, JSON]]]:
        """The candidate cleaned, why it is refused, and what the gates measured."""
        if proposal.fault is not None:
            return proposal.text, proposal.fault, {}
        variant, fault = cleaned(proposal.text, text)
        fault = fault or self.gates.fault(text, variant)
        if fault is None and normalised(variant) in taken:
            fault = Fault("repeated")
        if fault is not None or self.gates.similarity is None:
            return variant, fault, {} if fault else self.gates.scores(text, variant, None)
        vectors = yield Embed((text, variant))
        cosine = float(vectors[0] @ vectors[1])
        scores = self.gates.scores(text, variant, cosine)
        return variant, self.gates.fault(text, variant, cosine), scores


def ask_one(model: str, call: Call) -> Generator[Request, Any, Reply]:
    """The one reply to one call."""
    [replies] = yield Ask(model, (call,))
    return replies[0] if replies else Reply("", "error", error="no_reply: the model gave none")


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


def single(decoding: Decoding) -> Decoding:
    """`decoding`, if it gives one reply a call.

    Raises:
        ValueError: It gives several.
    """
    if decoding.n != 1:
        raise ValueError("here n is 1; 'variants' says how many variants are made")
    return decoding


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
