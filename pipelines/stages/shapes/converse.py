"""`converse`: a conversation of several turns, a model (or two) on each side.

    - kind: converse
      user: {model: writer, prompt: conversation/user}
      assistant: {model: writer, prompt: conversation/assistant}
      exchanges: {draw: uniform, min: 2, max: 4}

    {"topic": "camping"}
    ->  {..., "messages": [{"role": "user", "content": "What do I need for a night outside?"},
                           {"role": "assistant", "content": "A tent, a mat and ..."}, ...]}

Each side sees the conversation from where it sits: what it said itself are the replies of its chat,
what the other said are the messages to it (see `sides`). A message that is cut, leaks a role,
refuses, repeats an earlier one or does not belong to what it answers is asked for again.
"""

import re
from collections.abc import Generator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chains.calls import Call, Message, Reply
from chains.decoding.grammar import guides_for, refuse_conflicts
from chains.parsing import ParseFault, parse_reply
from pipelines.cleaning import Cleaning
from pipelines.drawing.targets import AnyTarget, drawn, greatest
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, Embed, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from pipelines.stages.dedup.shingling import jaccard, shingles
from pipelines.stages.heuristics.base import Text
from pipelines.stages.heuristics.prompt_leak import PromptLeak
from pipelines.stages.heuristics.refusal import Refusal
from pipelines.stages.heuristics.repetition import Repetition
from pipelines.stages.heuristics.unfinished import Unfinished
from pipelines.stages.shapes.asking import ask_once
from pipelines.stages.shapes.sides import GIVEN, Role, Side, Turn
from prompts.errors import UsageError

_ROLES: tuple[Role, Role] = ("user", "assistant")
_CHECKS = (PromptLeak(), Refusal(), Repetition())
_OFFERS_HELP = re.compile(
    r"\b(?:how (?:can|may) i (?:help|assist) you|i(?:['’]m| am) here to (?:help|assist)"  # noqa: RUF001
    r"|i(?:['’]d| would) be (?:happy|glad) to (?:help|assist)|feel free to ask)",  # noqa: RUF001
    re.I,
)


@STAGES.register
class Converse(ModelStage):
    """Let two sides talk.

    Attributes:
        user: Who writes the user's messages, and how.
        assistant: Who writes the assistant's.
        exchanges: How many messages the user writes, each with its reply: a number, or what each
            row's own is drawn from.
        min_exchanges: With fewer whole exchanges a row is rejected where a message cannot be had;
            with so many the conversation ends there. Left out, all are needed.
        opening: A column with the user's first message; left out, the user's side writes it.
        system: Whether the assistant's system message stands at the beginning of `messages`.
        attempts: How often a message may be asked for.
        max_similarity: The most that a message may be like an earlier one: Jaccard similarity of
            their character 5-grams.
        min_relevance: The least cosine of a message and the one before it; left out, no embedder is
            asked.
        adds: The column for the messages.
    """

    kind: Literal["converse"] = "converse"
    user: Side
    assistant: Side
    exchanges: AnyTarget = 3
    min_exchanges: Annotated[int, Field(ge=1)] | None = None
    opening: str = ""
    system: bool = False
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    max_similarity: Annotated[float, Field(gt=0, le=1)] = 0.6
    min_relevance: Annotated[float, Field(ge=-1, le=1)] | None = None
    adds: Annotated[str, Field(min_length=1)] = "messages"

    @model_validator(mode="after")
    def _bounds_fit(self) -> "Converse":
        most = greatest(self.exchanges)
        if most > 50:
            raise ValueError("more than 50 exchanges do not make a conversation")
        if self.min_exchanges is not None and self.min_exchanges > most:
            raise ValueError(f"min_exchanges is above the {most} exchanges that there can be")
        return self

    def columns_needed(self) -> set[str]:
        """Those that are named; those of the prompts are checked in `check`."""
        return {*self.user.inputs.values(), *self.assistant.inputs.values()} | (
            {self.opening} if self.opening else set()
        )

    def columns_added(self) -> set[str]:
        """The messages."""
        return {self.adds}

    def uses_embedder(self) -> bool:
        """Where relevance is looked at."""
        return self.min_relevance is not None

    def check(self, job: JobView) -> None:
        """Models and prompts exist, and the rows have what the prompts want."""
        for role in _ROLES:
            side = self.side(role)
            job.model(side.model, key=f"{role}.model")
            prompt = job.prompt(side.prompt, key=f"{role}.prompt")
            if prompt.output.form not in ("text", "regex"):
                problem = f"prompt '{side.prompt}' answers with {prompt.output.form}, not text"
                fix = "use one with 'output: {form: text}' or a pattern"
                raise UsageError(problem, fix=fix, key=f"{role}.prompt")
            if role == "assistant" and not prompt.variables_used() & GIVEN:
                problem = f"prompt '{side.prompt}' does not show the user's message"
                fix = "write {{ message }} where it goes, or show all {{ turns }}"
                raise UsageError(problem, fix=fix, key="assistant.prompt")
            refuse_conflicts(prompt.output, side.decoding)
            job.need(side.columns(prompt), key=f"{role}.prompt")

    def side(self, role: Role) -> Side:
        """One of the two."""
        return self.user if role == "user" else self.assistant

    def work(self, row: Row, context: Context) -> Work:
        """Message by message until the conversation has its length."""
        turns: list[Turn] = []
        said: list[JSON] = []
        wanted = drawn(self.exchanges, context.seed(row))
        if self.opening:
            text = read_text(row, self.opening)
            if isinstance(text, Fault):
                return [Rejection(row, text.reason, text.detail)]
            turns.append({"role": "user", "content": text.strip()})
        fault: Fault | None = None
        while len(turns) < 2 * wanted and fault is None:
            role = _ROLES[len(turns) % 2]
            found, event = yield from self._message(row, role, turns, context)
            said.append(event)
            if isinstance(found, Fault):
                fault = found
            else:
                turns.append({"role": role, "content": found})
        whole = len(turns) // 2
        least = wanted if self.min_exchanges is None else min(self.min_exchanges, wanted)
        event = {"stage": self.name, "wanted": wanted, "exchanges": whole, "messages": said}
        if fault is not None and whole < least:
            detail = {**fault.detail, "message": len(turns) + 1}
            refused = row.with_data({self.adds: list(turns)}, event)
            return [Rejection(refused, fault.reason, detail, self.attempts)]
        begin = self._system(row, turns, context)
        return [row.with_data({self.adds: [*begin, *turns[: 2 * whole]]}, event)]

    def _system(self, row: Row, turns: list[Turn], context: Context) -> list[Turn]:
        if not self.system:
            return []
        chat = self.assistant.chat(row, "assistant", turns, context)
        return [{"role": "system", "content": m.content} for m in chat if m.role == "system"]

    def _message(
        self, row: Row, role: Role, turns: list[Turn], context: Context
    ) -> Generator[Request, Any, tuple[str | Fault, dict[str, JSON]]]:
        """The next message, or why there is none, and the event that tells of it."""
        side = self.side(role)
        chat = side.chat(row, role, turns, context)
        tries = 1 if side.decoding.deterministic else self.attempts
        found: str | Fault = Fault("no_reply")
        for attempt in range(tries):
            seed = context.seed(row, attempt, len(turns) + 1)
            reply = yield from self._asked(side, chat, seed, context)
            found = self._read(side, role, reply, turns, context)
            event: dict[str, JSON] = {
                "role": role,
                "model": context.model_label(side.model),
                "prompt": context.prompt(side.prompt).label,
                "seed": seed,
                "attempt": attempt,
                "tokens": [reply.prompt_tokens, reply.completion_tokens],
            }
            if isinstance(found, str) and turns and self.min_relevance is not None:
                cosine = yield from _cosine(turns[-1]["content"], found)
                event["relevance"] = cosine
                if cosine < self.min_relevance:
                    found = Fault("off_topic", {"cosine": cosine, "reply": found})
            if isinstance(found, str):
                break
            if found.reason == "context_overflow":
                break
        return found, event

    def _asked(
        self, side: Side, chat: tuple[Message, ...], seed: int, context: Context
    ) -> Generator[Request, Any, Reply]:
        guides = guides_for(context.prompt(side.prompt).output)
        return (yield from ask_once(side.model, Call(chat, side.decoding, seed, guides)))

    def _read(
        self, side: Side, role: Role, reply: Reply, turns: list[Turn], context: Context
    ) -> str | Fault:
        """The message in a reply: cleaned, cut to its last finished sentence, and checked."""
        if reply.finish == "error":
            reason, _, found = reply.error.partition(": ")
            return Fault(reason, {"found": found})
        output = context.prompt(side.prompt).output
        parsed = parse_reply(output, reply.text)
        if isinstance(parsed, ParseFault):
            return Fault(parsed.reason, {"found": parsed.detail})
        text = Cleaning(ending=reply.finish == "length").clean(str(parsed.value)).text.strip()
        if not text:
            return Fault("cut_at_max_tokens", {"max_tokens": side.decoding.max_tokens})
        fault = self._fault(text, role, turns)
        return text if fault is None else Fault(fault.reason, {**fault.detail, "reply": text})

    def _fault(self, text: str, role: Role, turns: list[Turn]) -> Fault | None:
        shown = Text(text)
        ending = Unfinished(punctuation="always" if role == "assistant" else "auto")
        for check in (*_CHECKS, ending):
            if (fault := check.find(shown)) is not None:
                return fault
        if role == "user" and (offer := _OFFERS_HELP.search(text)):
            return Fault("roles_swapped", {"found": offer.group()})
        own = shingles(normalised(text), 5, "chars")
        for place, turn in enumerate(turns):
            score = jaccard(own, shingles(normalised(turn["content"]), 5, "chars"))
            if score > self.max_similarity:
                return Fault("repeated_message", {"of": place + 1, "score": round(score, 4)})
        return None


def _cosine(first: str, second: str) -> Generator[Request, Any, float]:
    vectors = yield Embed((first, second))
    return round(float(vectors[0] @ vectors[1]), 4)
