"""What an index may use while it is made and searched: an embedder, classifiers, a folder.

    resources = OwnResources(embedder=open_embedder("embedded"))
    resources.embed(["Cats purr."])             # float32 [1, 384]
    open_retriever(Dense(), passages, resources=resources)

In a job the stage hands down the run's own, so that vectors and judgements come from the ledger.
Nothing heavy is imported here.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chains.calls import Call, Message, Model, Reply
from chains.decoding.score import Score
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chains.embedding import Embedder


class Resources(Protocol):
    """What an index is handed."""

    @property
    def embedder(self) -> str:
        """Identifies the embedder: its fingerprint."""

    @property
    def folder(self) -> Path | None:
        """Where indexes are kept for the next time; None keeps none."""

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors [len(texts), dimensions] whose numbers are those of float16.

        A text's vector depends on no other text.
        """

    def judge(self, model: str, label: str, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """How well the second text of each pair answers the first, 0 to 1, by a classifier.

        Args:
            model: Its name.
            label: The label whose probability is wanted; empty for a model of one output.
            pairs: A query and a passage each.

        Returns:
            None for a pair that it cannot read, such as one too long for its window.
        """


class NoResources:
    """Nothing at all: enough for retrievers that only look at words."""

    folder: Path | None = None

    @property
    def embedder(self) -> str:
        """There is none.

        Raises:
            UsageError: Always.
        """
        raise _lacks_embedder()

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Refuse.

        Raises:
            UsageError: Always.
        """
        raise _lacks_embedder()

    def judge(self, model: str, label: str, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Refuse.

        Raises:
            UsageError: Always.
        """
        fix = f"give it resources=OwnResources(models={{'{model}': open_model(...)}})"
        raise UsageError("the retriever needs a classifier", fix=fix)


NOTHING = NoResources()


def _lacks_embedder() -> UsageError:
    fix = "give it resources=OwnResources(embedder=open_embedder('embedded'))"
    return UsageError("the retriever needs an embedder", fix=fix)


class OwnResources:
    """Resources outside of jobs.

    Args:
        embedder: As `chains.embedding.open_embedder` gives it.
        models: Classifiers by name, as `chains.models.open_model` gives them.
        folder: Where indexes are kept for the next time; None keeps none.
    """

    def __init__(
        self,
        embedder: "Embedder | None" = None,
        models: Mapping[str, Model] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self._embedder = embedder
        self._models = dict(models or {})
        self._known: dict[str, NDArray[np.float16]] = {}

    @property
    def embedder(self) -> str:
        """The embedder's fingerprint.

        Raises:
            UsageError: There is none.
        """
        return NOTHING.embedder if self._embedder is None else self._embedder.fingerprint

    def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Vectors, each text's computed once.

        Raises:
            UsageError: There is no embedder.
        """
        import numpy as np

        if self._embedder is None:
            return NOTHING.embed(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            vectors = self._embedder.encode(missing).astype(np.float16)
            self._known.update(zip(missing, vectors, strict=True))
        if not texts:
            return np.zeros((0, self._embedder.dimensions), dtype=np.float32)
        return np.stack([self._known[text] for text in texts]).astype(np.float32)

    def judge(self, model: str, label: str, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Judgements of one of `models`.

        Raises:
            UsageError: There is no such model.
        """
        if model not in self._models:
            return NOTHING.judge(model, label, pairs)
        calls = judging_calls(label, pairs)
        found: dict[int, Reply] = {}
        for finished in self._models[model].answer(calls):
            found.update((index, replies[0]) for index, replies in finished)
        return [judgement(found[index]) for index in range(len(calls))]


def judging_calls(label: str, pairs: Sequence[tuple[str, str]]) -> list[Call]:
    """What a classifier is asked about each pair."""
    score = Score(target=label, end=not label)
    return [Call((Message("user", one), Message("user", two)), score) for one, two in pairs]


def judgement(reply: Reply) -> float | None:
    """A classifier's reply as a number between 0 and 1; None where it could not read the pair.

    The value of a model of one output goes through the logistic function, as in the training of
    cross-encoders with binary cross-entropy; of several labels the one's probability is taken.
    """
    if reply.finish == "error":
        return None
    if reply.logprob is not None:
        return math.exp(reply.logprob)
    if reply.score is None:
        return None
    small = math.exp(-abs(reply.score))
    return (1 if reply.score >= 0 else small) / (1 + small)
