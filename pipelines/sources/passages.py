"""How a job says that long texts are cut: `split: {tokens: 200, overlap: 20}` or `split: none`.

cut = cutter(Split(tokens=200, overlap=20), view)
cut(reading)        # [(0, 812), (700, 1498)]: reading.text[start:end] is a passage
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from chains.loading.base import Reading, Unreadable
from pipelines.sources.base import Seed, SourceView

Cut = Callable[[Reading], list[tuple[int, int]]]

MOVING = frozenset({"start", "end"})


class Split(BaseModel):
    """Cut into passages of at most so many tokens.

    Attributes:
        tokens: The most tokens a passage may hold, counted in the whole text.
        overlap: How many of them it may share with the passage before it, at most half.
        model: The job's model whose tokenizer counts; left out, the first one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: Annotated[int, Field(ge=8)] = 200
    overlap: Annotated[int, Field(ge=0)] = 20
    model: str = ""

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> "Split":
        if self.overlap > self.tokens // 2:
            raise ValueError(f"overlap {self.overlap} is more than half of tokens {self.tokens}")
        return self


def _read_none(value: Any) -> Any:
    if value == "none":
        return None
    if isinstance(value, str):
        raise ValueError("write a mapping such as {tokens: 200, overlap: 20}, or the word none")
    return value


AnySplit = Annotated[Split | None, BeforeValidator(_read_none)]
"""Annotation of a field that takes a `Split` or, in a job, the word `none`."""


def check_split(split: Split | None, view: SourceView) -> None:
    """Check that the model whose tokens are counted is one of the job's.

    Raises:
        UsageError: It is not.
    """
    if split is not None:
        view.model(split.model)


def cutter(split: Split | None, view: SourceView) -> Cut:
    """The function that gives the spans of a document's passages, trimmed of outer white space.

    Raises:
        UsageError: The job has no such model.
        ModelError: Its tokenizer cannot be loaded.
    """
    from chains.retrieval.splitting import split_spans, whole

    if split is None:
        return lambda reading: whole(reading.text)
    from chains.models import open_tokenizer

    tokenizer = open_tokenizer(view.model(split.model))

    def cut(reading: Reading) -> list[tuple[int, int]]:
        spans = tokenizer.spans(reading.text)
        return split_spans(reading.text, spans, split.tokens, split.overlap)

    return cut


def passages(reading: Reading, document: str, cut: Cut) -> Iterator[Seed]:
    """The rows of one document.

    Raises:
        Unreadable: `empty`, where there is only white space.
    """
    spans = cut(reading)
    if not spans:
        raise Unreadable("empty", "white space only")
    for start, end in spans:
        data = {
            "context": reading.text[start:end],
            "document": document,
            "start": start,
            "end": end,
        }
        yield Seed(data, document, MOVING)
