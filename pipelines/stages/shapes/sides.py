"""One side of a conversation: its model and its prompt, and what it sees of the conversation.

After (user: "Hi", assistant: "Hello", user: "When?"), with a prompt of the system message S and the
last message "{{ message }}", the assistant's chat is

    system S, user "Hi", assistant "Hello", user "When?"

After (user: "Hi", assistant: "Hello"), with the system message S and the last message "Begin.",
which has no variable `message`, the user's chat is

    system S, user "Begin.", assistant "Hi", user "Hello"

With the variable `turns` a prompt shows the conversation itself, and nothing is added to it.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from chains.calls import Message
from chains.decoding import AnyDecoding, Decoding, Sample
from pipelines.rows import JSON, Row
from pipelines.stages.base import Context
from prompts.prompt import Prompt

Role = Literal["user", "assistant"]
Turn = dict[str, str]

TURNS, MESSAGE = "turns", "message"
GIVEN = frozenset({TURNS, MESSAGE})
"""Variables of a prompt that are no columns: the conversation so far, and its last message."""


class Side(BaseModel):
    """Who writes one side's messages.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt.
        inputs: Prompt variable -> column, where the names differ.
        decoding: How a message is decoded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prompt: str
    inputs: dict[str, str] = {}
    decoding: AnyDecoding = Sample(temperature=0.7, top_p=0.95, max_tokens=120)

    @field_validator("decoding")
    @classmethod
    def _one_reply(cls, value: Decoding) -> Decoding:
        if value.n != 1:
            raise ValueError("here n is 1: a conversation goes on with one message")
        return value

    def columns(self, prompt: Prompt) -> set[str]:
        """The columns that the prompt reads."""
        return {self.inputs.get(name, name) for name in prompt.variables_used() - GIVEN}

    def chat(
        self, row: Row, role: Role, turns: Sequence[Turn], context: Context
    ) -> tuple[Message, ...]:
        """The conversation as this side sees it, ready for its next message."""
        prompt = context.prompt(self.prompt)
        used = prompt.variables_used()
        given: dict[str, JSON] = {
            TURNS: list(turns),
            MESSAGE: turns[-1]["content"] if turns else "",
        }
        values = {
            name: given[name] if name in GIVEN else row.data[self.inputs.get(name, name)]
            for name in sorted(used)
        }
        chat = context.chat(prompt, values)
        if TURNS in used:
            return chat
        seen = [Message("assistant" if t["role"] == role else "user", t["content"]) for t in turns]
        return (*chat[:-1], *seen[:-1], chat[-1]) if MESSAGE in used else (*chat, *seen)
