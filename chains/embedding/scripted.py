"""An embedder without a model: hashed letter triples, so that similar texts lie close."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chains.embedding.base import ENGINE
from chains.models.identity import digest_of

DIMENSIONS = 64
SCRIPTED = digest_of("embedder", "scripted", f"engine{ENGINE}")


class ScriptedEmbedder:
    """The public fake: instant, the same vector for the same text."""

    @property
    def fingerprint(self) -> str:
        """A constant."""
        return SCRIPTED

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return DIMENSIONS

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Counts of hashed letter triples at length 1, float32 [len(texts), dimensions]."""
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            padded = f"  {text.lower()} "
            for start in range(len(padded) - 2):
                triple = padded[start : start + 3].encode("utf-8", "surrogatepass")
                digest = hashlib.blake2b(triple, digest_size=2).digest()
                vectors[row, digest[0] % DIMENSIONS] += 1 if digest[1] & 1 else -1
            vectors[row] = unit(vectors[row])
        return vectors


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector at length 1; zeros stay zeros."""
    length = float(np.sqrt(np.square(vector, dtype=np.float64).sum()))
    return vector if length == 0 else (vector / length).astype(np.float32)
