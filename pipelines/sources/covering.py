"""Passages that cover a folder evenly: `sample: {rows: 40, by: document}`.

    by: document    one passage of every document, then a second of each, and so on
    by: section     the same of sections: what stands below one heading
    by: none        any passages

    a.md of 300 passages, b.md of 2   ->   rows: 4 takes 2 of a.md and both of b.md

Which group comes first and which of its passages are taken is drawn by the job's seed and their
content, so that a document that comes or goes moves no more rows than it has itself.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.rows import JSON, digest
from pipelines.sources.base import BadSeed, Seed

_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*?)[ \t#]*$", re.M)


class Sample(BaseModel):
    """Which passages are taken, and in which order.

    Attributes:
        rows: How many passages; left out, all of them, in an order that covers evenly.
        by: What is to be covered evenly. Sections are told by Markdown headings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Annotated[int, Field(ge=1)] | None = None
    by: Literal["document", "section", "none"] = "document"


def sampled(items: Iterable[Seed | BadSeed], sample: Sample, seed: int) -> Iterator[Seed | BadSeed]:
    """What could not be read, then the passages taken: one of every group a round.

    Args:
        items: Passages with `context` and `document`, document by document in their order.
        sample: How many, and what they are to cover.
        seed: The job's seed.
    """
    passages: list[Seed] = []
    for item in items:
        if isinstance(item, Seed):
            passages.append(item)
        else:
            yield item
    yield from _in_rounds(passages, _groups(passages, sample.by), seed)[: sample.rows]


def _groups(passages: Iterable[Seed], by: str) -> list[tuple[JSON, ...]]:
    """For each passage what it belongs to."""
    groups: list[tuple[JSON, ...]] = []
    document, heading = None, ""
    for passage in passages:
        if passage.data["document"] != document:
            document, heading = passage.data["document"], ""
        headings = list(_HEADING.finditer(passage.data["context"]))
        own = headings[0][1] if headings and _begins(passage, headings[0]) else heading
        groups.append({"document": (document,), "section": (document, own)}.get(by, ()))
        heading = headings[-1][1] if headings else heading
    return groups


def _begins(passage: Seed, heading: re.Match[str]) -> bool:
    return not passage.data["context"][: heading.start()].strip()


def _in_rounds(passages: list[Seed], groups: list[tuple[JSON, ...]], seed: int) -> list[Seed]:
    seen: Counter[str] = Counter()
    drawn: list[tuple[str, str, Seed]] = []
    for passage, group in zip(passages, groups, strict=True):
        identity = passage.identity()
        place = digest(seed, "passage", identity, seen[identity])
        seen[identity] += 1
        drawn.append((place, digest(seed, "group", list(group)), passage))
    drawn.sort(key=lambda one: one[:2])
    rounds: Counter[str] = Counter()
    order: list[tuple[int, str, str, Seed]] = []
    for place, cell, passage in drawn:
        order.append((rounds[cell], cell, place, passage))
        rounds[cell] += 1
    order.sort(key=lambda one: one[:3])
    return [one[3] for one in order]
