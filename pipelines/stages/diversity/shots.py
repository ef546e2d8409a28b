"""Examples at hand, their vectors, and the choice among them.

shots = Shots()
shots.note(Shot("9f2c", "9f2c", example, "Tea is hot."))
shots.known              # still empty: a block sees what earlier blocks have left
shots.additions()        # [["9f2c", "9f2c", {"context": "Tea is hot."}, "What is hot?", ...]]
shots.known              # that one
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.normalising import normalised
from pipelines.rows import JSON
from pipelines.stages.base import Context
from prompts.file_format import Example

if TYPE_CHECKING:
    import numpy as np

MOST = 1_000
"""Examples that a pool holds: the newest."""


@dataclass(frozen=True)
class Shot:
    """An example that may be shown.

    Attributes:
        id: Of its row, or of its record.
        family: Of its row; empty where it is no row of the run.
        example: What is shown.
        asked: What rows are compared with.
    """

    id: str
    family: str
    example: Example
    asked: str

    @cached_property
    def keys(self) -> tuple[str, str]:
        """What it asks and what it replies, normalised."""
        return normalised(self.asked), normalised(self.example.reply)


class Shots:
    """Examples, and the memory of a pool that grows block by block.

    Args:
        known: Those at hand from the start.
    """

    def __init__(self, known: Iterable[Shot] = ()) -> None:
        self.known = list(known)
        self._fresh: list[Shot] = []
        self._vectors: dict[str, Any] = {}

    def note(self, shot: Shot) -> None:
        """Remember an example for the blocks to come."""
        self._fresh.append(shot)

    def additions(self) -> list[JSON]:
        """What was noted since the last call; from now on it is known."""
        fresh, self._fresh = self._fresh, []
        self._take(fresh)
        return [[s.id, s.family, s.example.values, s.example.reply, s.asked] for s in fresh]

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave."""
        self._take(
            Shot(id_, family, Example(values=values, reply=reply), asked)
            for id_, family, values, reply, asked in additions
        )

    def vectors(self, context: Context) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """A unit vector of what each known example asks, float32 [known, dimensions]."""
        import numpy as np

        wanted = dict.fromkeys(shot.asked for shot in self.known)
        self._vectors = {text: v for text, v in self._vectors.items() if text in wanted}
        missing = [text for text in wanted if text not in self._vectors]
        if missing:
            self._vectors.update(zip(missing, context.embed(missing), strict=True))
        if not self.known:
            return np.zeros((0, 0), dtype=np.float32)
        return np.stack([self._vectors[shot.asked] for shot in self.known])

    def _take(self, shots: Iterable[Shot]) -> None:
        self.known = [*self.known, *shots][-MOST:]


def most_relevant(
    query: "np.ndarray[Any, np.dtype[np.float32]]",
    vectors: "np.ndarray[Any, np.dtype[np.float32]]",
    usable: Sequence[int],
    count: int,
    relevance: float,
) -> list[int]:
    """The `count` best of `usable` by maximal marginal relevance, the best first.

    Each next one has the highest relevance * cos(query, it) - (1 - relevance) * max cos(chosen,
    it), equals in their order. With relevance 1 these are the nearest.

    Args:
        query: A unit vector.
        vectors: Unit vectors, [texts, dimensions].
        usable: The texts to choose from.
        count: How many at most.
        relevance: 0 to 1.
    """
    import numpy as np

    rest = list(usable)
    near = {at: float(vectors[at].astype(np.float64) @ query.astype(np.float64)) for at in rest}
    like = dict.fromkeys(rest, 0.0)
    chosen: list[int] = []
    while rest and len(chosen) < count:
        best = max(rest, key=lambda at: relevance * near[at] - (1 - relevance) * like[at])
        rest.remove(best)
        chosen.append(best)
        if relevance < 1:
            for at in rest:
                cosine = float(vectors[at].astype(np.float64) @ vectors[best].astype(np.float64))
                like[at] = cosine if len(chosen) == 1 else max(like[at], cosine)
    return chosen
