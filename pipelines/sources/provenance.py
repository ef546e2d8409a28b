"""What rows say of the document they come from: its format, hash, language, title and pages.

    {"format": "pdf", "sha256": "9f2c...", "language": "en", "encoding": null, "title": "Handbook",
     "author": null, "date": "2024-03-01", "url": null, "page_count": 12, "pages": ["3", "4"]}

All keys are there in every row, null where nothing is known, so that exports have one schema.
"""

from bisect import bisect_left, bisect_right

from chains.loading.base import Reading
from pipelines.rows import JSON

SAID = ("encoding", "title", "author", "date", "url", "page_count")
"""What a reading may know of its document."""

_LOOKED_AT = 20_000  # characters; what follows would change no judgement
_LEAST_EVIDENCE = 20  # letters that a judgement must rest on


def find_language(text: str) -> str | None:
    """The ISO 639 code of a text's language; None where too few letters tell."""
    from chains.text.language import evidence, open_language_scores

    beginning = text[:_LOOKED_AT]
    if evidence(beginning) < _LEAST_EVIDENCE:
        return None
    return next(iter(open_language_scores()(beginning)))


def about_document(reading: Reading, name: str, sha: str, language: str | None) -> dict[str, JSON]:
    """What all passages of a document share.

    Args:
        reading: The document.
        name: Its format.
        sha: SHA-256 of its file, as hex digits.
        language: As found in its text; else what it says itself.
    """
    said = {key: reading.metadata.get(key) for key in SAID}
    own = reading.metadata.get("language")
    return {"format": name, "sha256": sha, "language": language or own, **said}


def pages(reading: Reading, start: int, end: int) -> list[str] | None:
    """Labels of the first and last part that characters `start` to `end` touch."""
    parts = reading.parts
    first = bisect_right(parts, start, key=lambda part: part.end)
    last = bisect_left(parts, end, key=lambda part: part.start) - 1
    return [parts[first].label, parts[last].label] if first <= last else None
