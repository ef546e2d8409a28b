"""Noisy channel: a reply is good if it fits the prompt, explains it, and is good language.

    x "Un chat dort."    y "A cat sleeps."
    score(y) = log p(y | x) / t  +  (l1 log p(x | y) + l2 log p(y)) / s

with t the tokens of y and s those of x (Yee, Dauphin and Auli 2019, "Simple and Effective Noisy
Channel Modeling for Neural Machine Translation"). A reply that leaves half of x out is likely, but
x is not likely given that reply. Any list of texts can be ranked so:

    rerank(by_names({"": model.answer}), messages, ["A cat.", "A cat sleeps."], NoisyChannel())
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, field_validator

from chains.decoding.base import STRATEGIES
from chains.decoding.composite import Composite, best
from chains.decoding.score import Score

if TYPE_CHECKING:
    from chains.calls import Call, Message, Plan, Reply
    from chains.decoding.plans import Ask

_REPLY = re.compile(r"\{\{\s*reply\s*\}\}")

CHANNEL_SYSTEM = "You are shown a reply. Write the message that it replies to."


class Terms(NamedTuple):
    """What the score of one candidate is made of; log-probabilities are natural sums.

    Attributes:
        direct: log p(y | x). channel: log p(x | y). language: log p(y).
        reply_tokens: t, at least 1. source_tokens: s, at least 1.
    """

    direct: float
    channel: float
    language: float
    reply_tokens: int
    source_tokens: int

    def score(self, channel_weight: float, lm_weight: float) -> float:
        """The equation above."""
        behind = channel_weight * self.channel + lm_weight * self.language
        return self.direct / self.reply_tokens + behind / self.source_tokens


@STRATEGIES.register
class NoisyChannel(Composite):
    """The candidates by the noisy channel's score, which is `Reply.score`.

    The direct term is the candidates' own log-probability; where a model tells none it is asked
    for. x is the content of the last user message, its instructions included.

    Attributes:
        channel_weight: l1. lm_weight: l2; 0 leaves the term out.
        channel_model: The job's model that says log p(x | y); left out, the one asked.
        lm_model: The same for log p(y).
        channel_prompt: The user message of the channel's call; `{{ reply }}` stands for y.
        channel_system: The system message before it, which a text-to-text model does not read;
            empty for none.
        lm_prompt: The user message behind which y stands alone. Empty: of a model with a chat
            template an empty turn, of another one its begin token.
        source_after: x begins behind the first place where this stands in the user message, such
            as "French:"; empty takes all of it, as does a message that does not hold it.
    """

    strategy: Literal["noisy_channel"] = "noisy_channel"
    channel_weight: Annotated[float, Field(gt=0)] = 1.0
    lm_weight: Annotated[float, Field(ge=0)] = 0.3
    channel_model: str = ""
    lm_model: str = ""
    channel_prompt: str = "{{ reply }}"
    channel_system: str = CHANNEL_SYSTEM
    lm_prompt: str = ""
    source_after: str = ""

    @field_validator("channel_prompt")
    @classmethod
    def _holds_the_reply(cls, value: str) -> str:
        if not _REPLY.search(value):
            raise ValueError("the channel's prompt needs {{ reply }}, where the candidate stands")
        return value

    def models(self) -> dict[str, str]:
        """The channel's and the language model's, where they are named."""
        found = {"channel_model": self.channel_model, "lm_model": self.lm_model}
        return {setting: name for setting, name in found.items() if name}

    def scored(self, call: "Call", candidates: "Sequence[Reply]") -> "Plan":
        """Two calls for each different text, three where its log-probability is not known."""
        texts = {reply.text for reply in candidates if reply.finish != "error"}
        untold = {r.text for r in candidates if r.finish != "error" and r.logprob is None}
        wanted = {
            (sort, text): asked
            for text in sorted(texts)
            for sort, asked in self._calls(call, text, direct=text in untold).items()
        }
        answers = yield list(wanted.values())
        found = {key: reply for key, (reply,) in zip(wanted, answers, strict=True)}
        return [self._scored(reply, found) for reply in candidates]

    def source(self, messages: "Sequence[Message]") -> str:
        """The text x of a chat."""
        users = [message.content for message in messages if message.role == "user"]
        content = users[-1] if users else messages[-1].content
        _, found, behind = content.partition(self.source_after) if self.source_after else ("",) * 3
        return behind.strip() if found else content

    def _calls(self, call: "Call", text: str, *, direct: bool) -> "dict[str, tuple[str, Call]]":
        from chains.calls import Call, Message

        user = Message("user", _REPLY.sub(lambda _: text, self.channel_prompt))
        system = (Message("system", self.channel_system),) if self.channel_system else ()
        x, y = Score(target=self.source(call.messages)), Score(target=text)
        found = {"channel": (self.channel_model, Call((*system, user), x))}
        if self.lm_weight:
            found["language"] = (self.lm_model, Call((Message("user", self.lm_prompt),), y))
        if direct:
            found["direct"] = ("", Call(call.messages, y))
        return found

    def _scored(self, reply: "Reply", found: "Mapping[tuple[str, str], Reply]") -> "Reply":
        sorts = ("direct", "channel", "language")
        mine = {sort: found[sort, reply.text] for sort in sorts if (sort, reply.text) in found}
        error = next((term.error for term in mine.values() if term.finish == "error"), "")
        if reply.finish == "error" or error:
            return replace(reply, text="", finish="error", error=reply.error or error)
        direct = mine.get("direct", reply)
        terms = Terms(
            direct.logprob or 0.0,
            mine["channel"].logprob or 0.0,
            (mine["language"].logprob or 0.0) if "language" in mine else 0.0,
            max(1, direct.completion_tokens),
            max(1, mine["channel"].completion_tokens),
        )
        return replace(reply, score=terms.score(self.channel_weight, self.lm_weight))


def rerank(
    ask: "Ask",
    messages: "Sequence[Message]",
    replies: "Sequence[Reply | str]",
    settings: NoisyChannel,
) -> "list[Reply]":
    """Rank texts by the noisy channel, best first, wherever they come from.

    Args:
        ask: Answers calls, such as `chains.decoding.plans.by_names`.
        messages: The chat that they answer.
        replies: The n-best list; a reply with its log-probability saves a call.
        settings: Weights, models and prompts; how candidates are drawn is not looked at.

    Returns:
        All of them with their scores, as errors where no score was to be had.
    """
    from chains.calls import Call, Reply
    from chains.decoding.plans import carry_out

    candidates = [Reply(entry, "stop") if isinstance(entry, str) else entry for entry in replies]
    scored = carry_out(settings.scored(Call(tuple(messages), settings), candidates), ask)
    return best(scored, len(scored))
