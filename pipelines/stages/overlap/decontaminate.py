"""`decontaminate`: keeps rows that hold no item of an evaluation set, copied or put in other words.

    - {kind: decontaminate, field: [question, answer],
       sets: {gsm8k: {path: gsm8k/test.jsonl, columns: [question, answer]}}}

    rejected: {"reason": "benchmark_copy:gsm8k", "detail": {"set": "gsm8k", "item": "17",
               "column": "question", "share": 0.94, "words": 38, "text": "janet's ducks lay ..."}}
    rejected: {"reason": "benchmark_paraphrase:gsm8k", "detail": {"set": "gsm8k", "item": "17",
               "column": "question", "similarity": 0.9312, "text": "Janet's ducks lay 16 ..."}}

An item is found where enough of it lies in common n-grams of words (Brown et al. 2020, appendix C,
look for one; a share as in Lambert et al. 2024, section 3.2, spares rows that share a phrase). What
was reworded is found by the cosine of embeddings, text by text.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from pipelines.rows import Fault, Rejection, Row
from pipelines.sources.base import SourceView
from pipelines.stages.base import STAGES, Context, Embed, JobView, ModelStage, Work
from pipelines.stages.columns import strings
from pipelines.stages.overlap.benchmarks import (
    AnySets,
    Part,
    check_sets,
    read_sets,
)
from pipelines.stages.overlap.ngrams import NgramIndex
from pipelines.stages.overlap.words import SHOWN, quoted, words
from pipelines.stages.sets import SetPlaces, fingerprint_sets

if TYPE_CHECKING:
    import numpy as np

    Vectors = np.ndarray[Any, np.dtype[np.float32]]

_ROUNDING = 1e-4  # how far the quick cosine may lie from the exact one


@STAGES.register
class Decontaminate(ModelStage):
    """Reject a row that holds an item of an evaluation set.

    Attributes:
        field: The column to look at, or several; of lists and objects all text is looked at.
        sets: Name -> where the items are and which of their columns are looked for.
        n: Words in an n-gram.
        min_share: The least share, above 0 to 1, of an item's text that lies in n-grams which the
            row has too. A text of fewer than `n` words has to be in the row as a whole.
        min_words: Shorter texts are neither looked for nor embedded.
        similarity: The least cosine between a text of the row and one of an item; null asks no
            embedder.
    """

    kind: Literal["decontaminate"] = "decontaminate"
    field: str | tuple[str, ...]
    sets: AnySets
    n: Annotated[int, Field(ge=3, le=50)] = 8
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    min_words: Annotated[int, Field(ge=1)] = 5
    similarity: Annotated[float, Field(gt=0, le=1)] | None = 0.9

    @field_validator("field")
    @classmethod
    def _names_columns(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("name the column to look at")
        return value

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are looked at."""
        return (self.field,) if isinstance(self.field, str) else self.field

    def columns_needed(self) -> set[str]:
        """The columns that are looked at."""
        return set(self.columns)

    def uses_embedder(self) -> bool:
        """Unless paraphrases are not looked for."""
        return self.similarity is not None

    def check(self, job: JobView) -> None:
        """The sets are there, with their columns."""
        check_sets(self.sets, job)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the sets."""
        return fingerprint_sets(self.sets, SetPlaces(view))

    def work(self, row: Row, context: Context) -> Work:
        """Look for copies; if there is none, for paraphrases."""
        sets: Sets = context.shared("sets", lambda: Sets(self, context))
        texts = self._texts(row)
        if isinstance(texts, Fault):
            return [Rejection(row, texts.reason, texts.detail)]
        split = [words(text) for text in texts]
        fault = sets.copied(split)
        long = [t for t, w in zip(texts, split, strict=True) if len(w) >= self.min_words]
        if fault is None and self.similarity is not None and long:
            vectors = yield Embed(tuple(long))
            fault = sets.paraphrased(vectors, context)
        return [row if fault is None else Rejection(row, fault.reason, fault.detail)]

    def _texts(self, row: Row) -> list[str] | Fault:
        missing = [column for column in self.columns if column not in row.data]
        if missing:
            return Fault("missing_column", {"column": missing[0], "columns": sorted(row.data)})
        return [text for column in self.columns for text in strings(row.data[column])]


class Sets:
    """The evaluation sets of a stage, read and indexed once a run.

    Args:
        stage: The settings.
        context: Finds the files.
    """

    def __init__(self, stage: Decontaminate, context: Context) -> None:
        self._stage = stage
        self._parts = read_sets(stage.sets, context, least=stage.min_words)
        self._index = NgramIndex([part.words for part in self._parts], stage.n)
        self._vectors: Vectors | None = None

    def copied(self, texts: Sequence[Sequence[str]]) -> Fault | None:
        """`benchmark_copy` with the item of which the texts have most."""
        overlaps = self._index.overlaps(texts)
        found = {i: each for i, each in overlaps.items() if each.share >= self._stage.min_share}
        if not found:
            return None
        best = min(found, key=lambda i: (-found[i].share, -found[i].longest, i))
        part = self._parts[best]
        share, longest, _ = found[best]
        evidence = {"share": share, "words": longest, "text": quoted(part.words, found[best])}
        return _fault("benchmark_copy", part, evidence)

    def paraphrased(self, vectors: "Vectors", context: Context) -> Fault | None:
        """`benchmark_paraphrase` with the item that is nearest to one of the texts."""
        if self._vectors is None:
            self._vectors = context.embed([part.text for part in self._parts])
        best, similarity = _nearest(self._vectors, vectors)
        if self._stage.similarity is None or similarity < self._stage.similarity:
            return None
        part = self._parts[best]
        evidence = {"similarity": round(similarity, 4), "text": part.text[:SHOWN]}
        return _fault("benchmark_paraphrase", part, evidence)


def _nearest(parts: "Vectors", texts: "Vectors") -> tuple[int, float]:
    """The part that is nearest to one of the texts, and their cosine.

    The last bits of a matrix product depend on its shape; those of the pairs that are near the
    maximum are computed again one by one, so that the same one wins everywhere.
    """
    import numpy as np

    cosines = parts @ texts.T
    near = np.argwhere(cosines >= cosines.max() - _ROUNDING)
    exact = [float(np.sum(parts[i].astype(float) * texts[j].astype(float))) for i, j in near]
    best = int(np.argmax(np.round(exact, 6)))
    return int(near[best][0]), exact[best]


def _fault(reason: str, part: Part, evidence: dict[str, Any]) -> Fault:
    place = {"set": part.set, "item": part.item, "column": part.column}
    return Fault(f"{reason}:{part.set}", {**place, **evidence})
