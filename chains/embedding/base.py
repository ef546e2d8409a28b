"""What an embedder is: texts in, unit vectors out. Imports nothing heavy.

vectors = embedder.encode(["A cat sleeps.", "The cat is asleep."])     # float32 [2, 384]
similarity = vectors @ vectors.T                                       # cosines
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENGINE = 1
"""Raised whenever the same text and weights may give other bytes; part of every fingerprint."""


class Embedder(Protocol):
    """Turns texts into vectors; a text's vector depends on no other text, bit for bit."""

    @property
    def fingerprint(self) -> str:
        """Identifies all that decides a vector besides the text, never a path."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors, float32 [len(texts), dimensions]; a text without tokens gives zeros."""
