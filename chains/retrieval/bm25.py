"""BM25: passages by the words they share with a query, rare words counting more.

cats, dogs = Passage("Cats purr.", "pets.md", 0, 10), Passage("Dogs bark.", "pets.md", 11, 21)
Bm25().index([cats, dogs]).search(["CATS?", "fish"], k=2)      # [[Hit(place=0, score=0.36)], []]
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import regex
from pydantic import Field

from chains.retrieval.base import (
    RETRIEVERS,
    Hit,
    Index,
    Passage,
    RetrieverSettings,
    Without,
    leaving_out,
)
from chains.retrieval.resources import NOTHING, Resources
from chains.retrieval.store import content_key, load, save

if TYPE_CHECKING:
    import numpy as np

ENGINE = 1
"""Raised whenever the same settings and texts may give other words; part of an index's name."""

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[\w--[{_UNSPACED}]]+", regex.V1)
_ASCII_WORD = re.compile(r"\w+", re.ASCII)


def words(text: str) -> list[str]:
    """The words of `text` as they are matched: compatibility-normalised (NFKC) and case-folded.

    Scripts that are written without spaces give overlapping pairs of characters.
    """
    if text.isascii():  # the same words, ten times as fast
        return [run for run in _ASCII_WORD.findall(text.lower()) if _says_something(run)]
    found = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match[0]
        if match["unspaced"] is None or len(run) == 1:
            if _says_something(run):
                found.append(run)
        else:
            found.extend(first + second for first, second in pairwise(run))
    return found


def _says_something(run: str) -> bool:
    """Whether it is more than joiners and underscores."""
    return run.isalnum() or any(char.isalnum() for char in run)


@RETRIEVERS.register
class Bm25(RetrieverSettings):
    """Okapi BM25 with Lucene's never-negative idf, computed by `bm25s` (Lù 2024, arXiv:2407.03618).

    The score is the sum over the query's words of
    idf(w) f / (f + k1 (1 - b + b length / mean length)) with
    idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)), where f is the word's count in the passage and n the
    number of the N passages that have it. A word that the query repeats counts each time. The
    defaults are those of Trotman, Jia and Crane (2012).

    Attributes:
        k1: How slowly repeated words cease to add to the score.
        b: How much long passages are held back, 0 to 1.
    """

    kind: Literal["bm25"] = "bm25"
    k1: Annotated[float, Field(ge=0, le=100)] = 0.9
    b: Annotated[float, Field(ge=0, le=1)] = 0.4

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """An index of the passages' words; their documents' names are not searched.

        It is read from `resources.folder` where it was kept.
        """
        texts = [passage.text for passage in passages]
        if resources.folder is None:
            return _Bm25Index(*_scored(self, texts))
        settings = self.model_dump(mode="json")
        key = content_key("bm25", ENGINE, version("bm25s"), settings, texts=texts)
        stored = load(resources.folder, key)
        if stored is not None and set(stored.arrays) == {"data", "indices", "indptr"}:
            found: list[str] = stored.about["words"]
            return _Bm25Index(found, _scorer(self, stored.arrays, len(texts)))
        found, scorer = _scored(self, texts)
        if scorer is not None:
            arrays = {name: scorer.scores[name] for name in ("data", "indices", "indptr")}
            save(resources.folder, key, arrays, {"words": found})
        return _Bm25Index(found, scorer)


def _scored(settings: Bm25, texts: Sequence[str]) -> tuple[list[str], Any]:
    """The words of the texts, and what scores them by their places; None where there is no word."""
    # In order of appearance: bm25s would number words in the order of a set, new in every run.
    ids: dict[str, int] = {}
    tokens = [[ids.setdefault(word, len(ids)) for word in words(text)] for text in texts]
    if not ids:
        return [], None
    scorer = _scorer(settings)
    scorer.index((tokens, ids), create_empty_token=False, show_progress=False)
    return list(ids), scorer


def _scorer(
    settings: Bm25, arrays: "Mapping[str, np.ndarray[Any, Any]] | None" = None, texts: int = 0
) -> Any:
    import bm25s

    scorer = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene", backend="numpy")
    if arrays is not None:
        scorer.scores = {**arrays, "num_docs": texts}
        scorer.nonoccurrence_array = None  # as Lucene's variant has it
    return scorer


class _Bm25Index:
    """Words and the scores that each gives the passages; the scorer is None where there is none."""

    def __init__(self, found: Sequence[str], scorer: Any) -> None:
        self._ids = {word: number for number, word in enumerate(found)}
        self._scorer = scorer

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query the passages that share a word with it."""
        return leaving_out(self._search, queries, k, without) if k > 0 else [[] for _ in queries]

    def _search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        return [self._best(words(query), k) for query in queries]

    def _best(self, query: list[str], k: int) -> list[Hit]:
        known = [self._ids[word] for word in query if word in self._ids]
        if not known:
            return []
        return _best(self._scorer.get_scores_from_ids(known), k)


def _best(scores: "np.ndarray[Any, np.dtype[np.float32]]", k: int) -> list[Hit]:
    """The `k` highest of `scores` above 0, equal ones by rising place."""
    import numpy as np

    bar = np.partition(scores, -k)[-k] if k < len(scores) else 0
    places = np.flatnonzero((scores >= bar) & (scores > 0))
    order = np.argsort(-scores[places], kind="stable")[:k]
    return [Hit(int(place), float(scores[place])) for place in places[order]]
