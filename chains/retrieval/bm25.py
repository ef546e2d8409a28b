"""BM25: passages by the words they share with a query, rare words counting more.

cats, dogs = Passage("Cats purr.", "pets.md", 0, 10), Passage("Dogs bark.", "pets.md", 11, 21)
Bm25().index([cats, dogs]).search(["CATS?", "fish"], k=2)      # [[Hit(place=0, score=0.27)], []]
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import regex
from pydantic import Field

from chains.retrieval.base import RETRIEVERS, Hit, Index, Passage, RetrieverSettings

if TYPE_CHECKING:
    import numpy as np

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[\w--[{_UNSPACED}]]+", regex.V1)


def words(text: str) -> list[str]:
    """The words of `text` as they are matched: compatibility-normalised (NFKC) and case-folded.

    Scripts that are written without spaces give overlapping pairs of characters.
    """
    found = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match[0]
        if match["unspaced"] is None or len(run) == 1:
            if any(char.isalnum() for char in run):  # no bare joiners and underscores
                found.append(run)
        else:
            found.extend(first + second for first, second in pairwise(run))
    return found


@RETRIEVERS.register
class Bm25(RetrieverSettings):
    """Okapi BM25 with Lucene's never-negative idf, computed by `bm25s` (Lù 2024, arXiv:2407.03618).

    The score is the sum over the query's words of
    idf(w) f / (f + k1 (1 - b + b length / mean length)) with
    idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)), where f is the word's count in the passage and n the
    number of the N passages that have it. A word that the query repeats counts each time.

    Attributes:
        k1: How slowly repeated words cease to add to the score.
        b: How much long passages are held back, 0 to 1.
    """

    kind: Literal["bm25"] = "bm25"
    k1: Annotated[float, Field(ge=0, le=100)] = 1.5
    b: Annotated[float, Field(ge=0, le=1)] = 0.75

    def index(self, passages: Sequence[Passage]) -> Index:
        """An index of the passages' words; their documents' names are not searched."""
        return _Bm25Index(self, [words(passage.text) for passage in passages])


class _Bm25Index:
    def __init__(self, settings: Bm25, corpus: list[list[str]]) -> None:
        import bm25s

        # In order of appearance: bm25s would number words in the order of a set, new in every run.
        self._ids: dict[str, int] = {}
        tokens = [[self._ids.setdefault(w, len(self._ids)) for w in text] for text in corpus]
        self._scorer: Any = None
        if self._ids:
            self._scorer = bm25s.BM25(
                k1=settings.k1, b=settings.b, method="lucene", backend="numpy"
            )
            vocabulary = (tokens, self._ids)
            self._scorer.index(vocabulary, create_empty_token=False, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """For each query the passages that share a word with it."""
        return [self._search(words(query), k) for query in queries]

    def _search(self, query: list[str], k: int) -> list[Hit]:
        known = [self._ids[word] for word in query if word in self._ids]
        if not known or k < 1:
            return []
        return _best(self._scorer.get_scores_from_ids(known), k)


def _best(scores: "np.ndarray[Any, np.dtype[np.float32]]", k: int) -> list[Hit]:
    """The `k` highest of `scores` above 0, equal ones by rising place."""
    import numpy as np

    bar = np.partition(scores, -k)[-k] if k < len(scores) else 0
    places = np.flatnonzero((scores >= bar) & (scores > 0))
    order = np.argsort(-scores[places], kind="stable")[:k]
    return [Hit(int(place), float(scores[place])) for place in places[order]]
