"""What becomes of a prompt that is longer than the window: its longest variable is cut or divided.

overflow: truncate   the variable loses its end; how much is in the row's history
overflow: split      the row becomes several, each with a part of the variable in its column
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chains.calls import Message
from pipelines.rows import JSON, Rejection, Row
from pipelines.stages.base import Context
from prompts.prompt import Prompt

if TYPE_CHECKING:
    from pipelines.stages.generate import Generate


@dataclass(frozen=True, slots=True)
class Part:
    """A row, or a part of one, whose prompt fits."""

    row: Row
    messages: tuple[Message, ...]


def fit(
    row: Row, stage: "Generate", prompt: Prompt, context: Context
) -> Iterator[Part | Rejection]:
    """The row as one part that fits, or several, or rejected where the rest alone is too long."""
    values = stage.values(prompt, row)
    room = context.window(stage.model) - stage.decoding.max_tokens

    def length(text: str | None) -> int:
        chosen = values if text is None else {**values, longest: text}
        return context.count_tokens(stage.model, context.chat(prompt, chosen))

    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    longest = max(texts, key=lambda name: len(texts[name]), default="")
    needed = length(None)
    if needed <= room:
        yield Part(row, context.chat(prompt, values))
        return
    if not longest or length("") >= room:
        found = f"prompt has {needed} tokens, the window leaves {room}"
        yield Rejection(row, "context_overflow", {"found": found})
        return
    pieces = _pieces(texts[longest], length, room)
    column = stage.inputs.get(longest, longest)
    if stage.overflow == "truncate":
        piece = next(pieces)
        event: dict[str, JSON] = {"stage": stage.name, "truncated": column}
        event["characters"] = [len(piece), len(texts[longest])]
        yield Part(row.with_data({}, event), context.chat(prompt, {**values, longest: piece}))
        return
    for index, piece in enumerate(pieces):
        event = {"stage": stage.name, "part": index, "split": column}
        part = row.child(f"{stage.name}/part", index).with_data({column: piece}, event)
        yield Part(part, context.chat(prompt, {**values, longest: piece}))


def _pieces(text: str, length: Callable[[str | None], int], room: int) -> Iterator[str]:
    """`text` in parts, each the longest that fits, cut at white space where there is any."""
    rest = text
    while rest:
        low, high = 1, len(rest)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if length(rest[:middle]) <= room else (low, middle - 1)
        if low < len(rest):
            space = max(rest.rfind(" ", 0, low), rest.rfind("\n", 0, low))
            low = space if space > low // 2 else low
        piece = rest[:low].strip()
        if piece:
            yield piece
        rest = rest[low:].lstrip()
