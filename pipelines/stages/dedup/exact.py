"""Method `exact`: texts that are equal after normalisation, and no others.

"When?", "  WHEN "   ->   duplicate, since both are "when"
"When?", "When now?" ->   two texts
"""

from collections.abc import Sequence
from typing import Self

from pipelines.rows import JSON
from pipelines.stages.dedup.index import NOBODY, Array


class Exact:
    """Finds nothing beyond the equal texts, which need no index."""

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> int:
        """How many there are."""
        return len(texts)

    def known(self, batch: int, *, earlier: bool = False) -> list[Array]:
        """Nobody."""
        return [NOBODY] * batch

    def evidence(self, batch: int, place: int, number: int) -> dict[str, JSON] | None:
        """None."""
        return None

    def add(self, batch: int, places: Sequence[int]) -> None:
        """Nothing to remember."""

    def fresh(self) -> Self:
        """Another one."""
        return type(self)()
