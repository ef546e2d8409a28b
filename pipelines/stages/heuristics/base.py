"""What the checks have in common: a text that is taken apart once, and one method.

    text = Text("One two. Three!", instructions=("You are a poet.",))
    text.words              # ("One", "two", "Three")
    Refusal().find(text)    # None, or Fault("refusal", {"rule": ..., "found": ...})

A further check is one file here with one class, and a field of `Heuristics`.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from chains.text.measuring import words
from chains.text.sentences import sentences
from pipelines.rows import JSON, Fault

SHOWN = 120  # characters of a text that are shown as evidence

_FENCE = re.compile(r"(?ms)^[ \t]*(`{3,}|~{3,}).*?(?:^[ \t]*\1[ \t]*$|\Z)")
_BLANK_LINES = re.compile(r"\n{3,}")
_MARKS = re.compile(r"^[\W_]+|[\W_]+$")
_CODE = re.compile(r"`[^`\n]+`")
_QUOTED = re.compile(r'"[^"\n]{0,2000}"|“[^“”\n]{0,2000}”|«[^«»\n]{0,2000}»|„[^„“”\n]{0,2000}[“”]')


@dataclass(frozen=True)
class Text:
    """A text and what the checks look at in it.

    Attributes:
        content: The text, without outer white space.
        instructions: The fixed words of the prompt that it answers, if that is known.
    """

    content: str
    instructions: tuple[str, ...] = ()

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words, without the marks around them, in lower case."""
        return bare_words(self.content)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Its sentences."""
        return tuple(sentences(self.content))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines that are not blank, without outer white space."""
        return tuple(line.strip() for line in self.content.split("\n") if line.strip())

    @cached_property
    def prose(self) -> str:
        """The text without code."""
        return _CODE.sub(" ", _FENCE.sub("\n", self.content))

    @cached_property
    def own_words(self) -> str:
        """Without code and what stands in quotation marks: nobody's speech; single spaces."""
        lines = (" ".join(line.split()) for line in _QUOTED.sub('""', self.prose).split("\n"))
        return _BLANK_LINES.sub("\n\n", "\n".join(lines))


def bare_words(text: str) -> tuple[str, ...]:
    """The words of a text, without the marks around them, in lower case."""
    return tuple(_MARKS.sub("", word).casefold() for word in words(text))


class Check(BaseModel):
    """One way in which a text can be bad; its fields are the bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def find(self, text: Text) -> Fault | None:
        """The fault with its evidence; None where there is none.

        The detail has the `rule` that found it, `found` (the words), and for a measured one
        `score` and `bound`.
        """
        raise NotImplementedError


def shown(found: str) -> str:
    """A piece of a text as evidence: on one line, cut where it is long."""
    line = " ".join(found.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def measured(rule: str, score: float, bound: float, found: str) -> dict[str, JSON]:
    """The detail of a fault that is a share or a count beyond its bound."""
    return {"rule": rule, "score": round(score, 4), "bound": bound, "found": shown(found)}
