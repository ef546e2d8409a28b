"""The documents that a stage looks things up in: their passages, and what an index may ask.

    passages = read_passages(Documents(path="handbook"), context, "look")   # [Passage(...), ...]
    open_retriever(Hybrid(), passages, resources=JobResources(context))

Vectors and judgements come from the ledger as far as it knows them; what was embedded or indexed in
an earlier run is not done again, and of a document that changed only its new passages are.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chains.models.spec import ModelSpec
from chains.retrieval import Passage
from chains.retrieval.resources import judgement, judging_calls
from pipelines.sources.base import BadSeed
from pipelines.sources.documents import Documents
from pipelines.stages.base import Ask, Context

if TYPE_CHECKING:
    import numpy as np

_log = logging.getLogger(__name__)


def read_passages(documents: Documents, context: Context, stage: str) -> list[Passage]:
    """All passages of the documents, in order; how many files could not be read is logged.

    Args:
        documents: Where they are and how they are cut.
        context: Of the stage.
        stage: Its name, for the log.
    """
    passages: list[Passage] = []
    bad: list[BadSeed] = []
    for seed in documents.read(_ContextView(context)):
        if isinstance(seed, BadSeed):
            bad.append(seed)
        else:
            columns = (seed.data[name] for name in ("context", "document", "start", "end"))
            passages.append(Passage(*columns))
    if bad:
        found = f"{len(bad)} files cannot be searched; first '{bad[0].key}': {bad[0].detail}"
        _log.warning("%s: %s", stage, found)
    return passages


class JobResources:
    """What an index may use in a job: the context of the stage, as retrievers know it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def embedder(self) -> str:
        """Fingerprint of the job's embedder."""
        return self._context.embedder()

    @property
    def folder(self) -> Path | None:
        """Where indexes are kept from run to run."""
        return self._context.indexes()

    def embed(self, texts: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
        """Vectors, as the ledger has them."""
        return self._context.embed(texts)

    def judge(self, model: str, label: str, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Judgements by one of the job's models, as the ledger has them."""
        replies = self._context.answer(Ask(model, tuple(judging_calls(label, pairs))))
        return [judgement(answers[0]) for answers in replies]


@dataclass(frozen=True)
class _ContextView:
    """What a source may look up, from what a stage may."""

    context: Context
    seed: int = 0  # `documents` draws nothing

    def path(self, text: str) -> Path:
        return self.context.path(text)

    def model(self, name: str) -> ModelSpec:
        return self.context.spec(name)
