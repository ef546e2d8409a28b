"""How a job says that long texts are cut: `split: {tokens: 200, overlap: 20}` or `split: none`.

    split: {by: headings, tokens: 300, overlap: 0}

cut = cutter(Split(tokens=200, overlap=20), view)
cut(reading)        # [(0, 812), (700, 1498)]: reading.text[start:end] is a passage
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from chains.loading.base import Reading, Unreadable
from pipelines.sources.base import Seed, SourceView
from prompts.errors import UsageError

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec
    from chains.models.tokens import TokenSpans

MOVING = frozenset({"start", "end"})

ROOM = 64
"""Tokens that a window must hold beside a passage: the least that a prompt and a reply take."""


class Split(BaseModel):
    """Cut into passages of at most so many tokens.

    Attributes:
        by: What passages are. `tokens`: as many as fit, ending at the best place to cut;
            `sentences`: as many whole sentences as fit; `headings`: a section each, `pages`: a
            page (slide, sheet, chapter) each, both cut by tokens where they are larger. A document
            without pages is cut by tokens.
        tokens: The most tokens a passage may hold, counted in the whole text.
        overlap: How many of them it may share with the passage before it, at most half. Sections
            and pages share nothing with one another.
        headings: Give rows the column `headings`: the Markdown headings above the passage's first
            character, from the outermost to the innermost.
        model: The job's model whose tokenizer counts; left out, the first one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["tokens", "sentences", "headings", "pages"] = "tokens"
    tokens: Annotated[int, Field(ge=8)] = 200
    overlap: Annotated[int, Field(ge=0)] = 20
    headings: bool = False
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


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts documents: `cut(reading)` gives the spans of its passages, trimmed of white space.

    Attributes:
        spans: Does that.
        headings: Whether rows say below which headings they stand.
    """

    spans: Callable[[Reading], list[tuple[int, int]]]
    headings: bool = False

    def __call__(self, reading: Reading) -> list[tuple[int, int]]:
        """The spans of the document's passages."""
        return self.spans(reading)


def check_split(split: Split | None, view: SourceView) -> None:
    """Check that the model whose tokens are counted is one of the job's and holds a passage.

    Raises:
        UsageError: It is not, or does not.
    """
    if split is not None:
        check_window(split, view.model(split.model))


def check_window(split: Split, spec: "ModelSpec") -> None:
    """Check that a passage and the least of a prompt and a reply fit into a model's window.

    Raises:
        UsageError: They do not, as far as the window is known before the model is loaded.
    """
    from chains.models.windows import known_window

    window = known_window(spec)
    if window is not None and split.tokens > window - ROOM:
        problem = f"passages of {split.tokens} tokens do not fit the window of {window} tokens"
        fix = f"write {window - ROOM} or less, which leaves {ROOM} for prompt and reply"
        raise UsageError(problem, fix=fix, key="split.tokens")


def split_columns(split: Split | None) -> set[str]:
    """The columns that cutting gives rows besides those of every passage."""
    return {"headings"} if split is not None and split.headings else set()


def cutter(split: Split | None, view: SourceView) -> Cut:
    """What cuts documents as `split` says.

    Raises:
        UsageError: The job has no such model.
        ModelError: Its tokenizer cannot be loaded.
    """
    from chains.retrieval.splitting import whole

    if split is None:
        return Cut(lambda reading: whole(reading.text))
    from chains.models import open_tokenizer

    tokenizer = open_tokenizer(view.model(split.model))
    return Cut(lambda reading: _spans(reading, split, tokenizer), split.headings)


def _spans(reading: Reading, split: Split, tokenizer: "TokenSpans") -> list[tuple[int, int]]:
    from chains.retrieval.sections import sections
    from chains.retrieval.splitting import split_regions, split_spans

    text, tokens, overlap = reading.text, split.tokens, split.overlap
    counted = tokenizer.spans(text)
    if split.by == "headings":
        return split_regions(text, sections(text), counted, tokens, overlap)
    if split.by == "pages" and reading.parts:
        pages = [(part.start, part.end) for part in reading.parts]
        return split_regions(text, pages, counted, tokens, overlap)
    return split_spans(text, counted, tokens, overlap, sentences=split.by == "sentences")


def passages(reading: Reading, document: str, cut: Cut) -> Iterator[Seed]:
    """The rows of one document.

    Raises:
        Unreadable: `empty`, where there is only white space.
    """
    spans = cut(reading)
    if not spans:
        raise Unreadable("empty", "white space only")
    above = _headings(reading.text, [start for start, _ in spans]) if cut.headings else None
    for number, (start, end) in enumerate(spans):
        data: dict[str, Any] = {
            "context": reading.text[start:end],
            "document": document,
            "start": start,
            "end": end,
        }
        moving = MOVING
        if above is not None:
            data["headings"] = above[number]
            moving |= {"headings"}
        yield Seed(data, document, moving)


def _headings(text: str, places: Sequence[int]) -> list[list[str]]:
    from chains.retrieval.sections import heading_paths

    return heading_paths(text, places)
