"""What a person thought of two replies, one JSON line a rating; the last one of a pair counts.

    {"row": "9f2c", "repeat": 0, "stage": "question", "verdict": "a",
     "a": {"variant": "current", "text": "When?"}, "b": {"variant": "@short", "text": "Why?"},
     "prompt": [{"role": "user", "content": "Ask about tea."}]}

As preference data that is `prompt`, `chosen` and `rejected`, each a list of messages.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.files import disk_errors
from pipelines.rows import JSON, canonical, digest
from prompts.errors import CorruptRunError
from prompts.registry import validate


class Side(BaseModel):
    """One of the two replies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    text: str


class Turn(BaseModel):
    """One message of the chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Rating(BaseModel):
    """One rating.

    Attributes:
        row: The row's id.
        repeat: Counted from 0.
        stage: Of the job.
        verdict: Which is better; `tie` where both are as good, `neither` where both are bad.
        a: A reply.
        b: The other one.
        prompt: The chat that the first one answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    repeat: Annotated[int, Field(ge=0)] = 0
    stage: str
    verdict: Literal["a", "b", "tie", "neither"]
    a: Side
    b: Side
    prompt: tuple[Turn, ...] = ()

    @property
    def pair(self) -> str:
        """The same for the same two replies to the same row, whichever stands first."""
        sides = sorted([side.variant, side.text] for side in (self.a, self.b))
        return digest(self.stage, self.row, self.repeat, sides)


class Ratings:
    """The ratings in a file, which is made with the first one.

    Args:
        path: A JSON Lines file.

    Raises:
        CorruptRunError: A line is not a rating; the line is named.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known = {rating.pair: rating for rating in _read(path)}

    def __iter__(self) -> Iterator[Rating]:
        with self._lock:
            return iter(list(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def add(self, data: Mapping[str, Any]) -> Rating:
        """Remember a rating; it is on disk when this returns.

        Raises:
            UsageError: It is none.
            ResourceError: The disk is full.
        """
        rating = validate(Rating, dict(data))
        line = canonical(rating.model_dump(mode="json")) + "\n"
        with self._lock, disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
            self._known[rating.pair] = rating
        return rating

    def preferences(self) -> Iterator[dict[str, JSON]]:
        """The decided ones as preference data: `prompt`, `chosen` and `rejected` as messages.

        The prompt is that of the first side; where the sides were asked by different prompts, the
        texts are still two answers to the same row.
        """
        for rating in self:
            if rating.verdict not in ("a", "b"):
                continue
            sides = (rating.a, rating.b)
            chosen, rejected = sides if rating.verdict == "a" else sides[::-1]
            yield {
                "prompt": [turn.model_dump() for turn in rating.prompt],
                "chosen": [{"role": "assistant", "content": chosen.text}],
                "rejected": [{"role": "assistant", "content": rejected.text}],
            }

    def wins(self) -> dict[str, dict[str, int]]:
        """Variant -> how often it won, lost and tied."""
        found: dict[str, dict[str, int]] = {}
        for rating in self:
            sides = {"a": rating.a.variant, "b": rating.b.variant}
            for side, name in sides.items():
                counts = found.setdefault(name, {"won": 0, "lost": 0, "tied": 0})
                tied = rating.verdict not in sides
                counts["tied" if tied else "won" if rating.verdict == side else "lost"] += 1
        return found


def _read(path: Path) -> Iterator[Rating]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Rating.model_validate(json.loads(line))
            except (ValueError, ValidationError, RecursionError) as exc:
                fix = "mend or delete the line, or give --ratings another file"
                problem = "the line is not a rating"
                raise CorruptRunError(problem, fix=fix, file=path, line=number) from exc
