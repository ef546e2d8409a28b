"""PDF: the text layer of each page; pages that are pictures of text are told from empty ones.

    reading = read_pdf(data, Limits())
    reading.parts[2]        # Part(start=4120, end=6033, kind="page", label="3")
    reading.faults          # (Fault("page 4", "scanned", "a picture without a text layer; ..."),)

pypdf reads them. Pages are numbered from 1 in the order of the file, whatever is printed on them.
With the extra `ocr`, pages that are pictures are read by character recognition.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.joining import joined
from chains.loading.ocr import HINT, open_recognise

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

_HEAD = 1024
"""Bytes in which a PDF must say that it is one; mail programs put lines before it."""

_LEAST_SIDE = 100
"""Pixels that a picture of a page has at least on its longer side; smaller ones are ornaments."""


def read_pdf(data: bytes, limits: Limits) -> Reading:
    """The text of all pages that have any.

    Raises:
        Unreadable: `empty`, `encrypted`, `malformed`, `scanned` or `truncated`.
    """
    if b"%PDF-" not in data[:_HEAD]:
        raise Unreadable("malformed", "does not begin like a PDF file")
    reader = _open(data)
    pages = _count(reader, data)
    recognise = open_recognise()
    texts: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for number in range(1, min(pages, limits.pages) + 1):
        try:
            texts.append((str(number), _page_text(reader, number, recognise)))
        except Unreadable as bad:
            faults.append(Fault(f"page {number}", bad.reason, bad.detail))
    if pages > limits.pages:
        detail = f"{pages} pages, the first {limits.pages} are read"
        faults.append(Fault(f"page {limits.pages + 1}", "too_many_pages", detail))
    text, parts = joined(texts, "page")
    if not text:
        raise _nothing(faults, pages)
    return Reading(text, parts, {**_metadata(reader), "page_count": pages}, tuple(faults))


def _open(data: bytes) -> "PdfReader":
    """The file, decrypted where an empty password opens it, as that of a file nobody may print."""
    from io import BytesIO

    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PdfReadError

    try:
        reader = PdfReader(BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
    except (DependencyError, NotImplementedError) as exc:
        raise Unreadable("encrypted", f"in a way that is not known: {exc}") from exc
    except PdfReadError as exc:
        raise _broken(data, exc) from exc
    if locked:
        raise Unreadable("encrypted", "it needs a password; save a copy without one")
    return reader


def _count(reader: "PdfReader", data: bytes) -> int:
    from pypdf.errors import PdfReadError

    try:
        return len(reader.pages)
    except PdfReadError as exc:
        raise _broken(data, exc) from exc


def _broken(data: bytes, exc: Exception) -> Unreadable:
    if b"%%EOF" not in data[-2048:]:
        return Unreadable("truncated", f"its end is missing: {exc}")
    return Unreadable("malformed", str(exc))


def _page_text(reader: "PdfReader", number: int, recognise: Any) -> str:
    """The text of a page; empty where the page is.

    Raises:
        Unreadable: `malformed` or `scanned`.
    """
    try:
        page = reader.pages[number - 1]
        text = page.extract_text()
        if text.strip() or not (pictures := list(_pictures(page))):
            return text
    except (MemoryError, Unreadable):
        raise
    except Exception as exc:  # pypdf raises what its parts raise
        said = " ".join(str(exc).split())[:200]
        raise Unreadable("malformed", f"{type(exc).__name__}: {said}") from exc
    if recognise is None:
        raise Unreadable("scanned", f"a picture without a text layer; {HINT}")
    return "\n".join(recognise(picture.data) for picture in pictures)


def _pictures(page: "PageObject") -> Iterator[Any]:
    """The pictures of a page that are large enough to hold text."""
    for name, thing in _objects(page):
        if thing.get("/Subtype") == "/Image":
            sides = (thing.get("/Width", 0), thing.get("/Height", 0))
            if max(sides) >= _LEAST_SIDE:
                yield _Picture(page, name)


class _Picture:
    """A picture of a page, decoded when its data are asked for."""

    def __init__(self, page: "PageObject", name: str) -> None:
        self._page = page
        self._name = name

    @property
    def data(self) -> bytes:
        """The picture as a file of its own."""
        found: bytes = self._page.images[self._name].data
        return found


def _objects(page: "PageObject") -> Iterator[tuple[str, Any]]:
    resources = page.get("/Resources")
    things = resources.get_object().get("/XObject") if resources is not None else None
    if things is not None:
        for name, thing in things.get_object().items():
            yield name, thing.get_object()


def _nothing(faults: list[Fault], pages: int) -> Unreadable:
    """Why a file without text has none: the reason of most of its pages."""
    if not faults:
        return Unreadable("empty", f"no text on {pages} pages")
    reasons = [fault.reason for fault in faults]
    reason = max(dict.fromkeys(reasons), key=reasons.count)
    first = next(fault for fault in faults if fault.reason == reason)
    number = f"{reasons.count(reason)} of {pages} pages"
    return Unreadable(reason, f"{number}, the first is {first.place}: {first.detail}")


def _metadata(reader: "PdfReader") -> dict[str, Any]:
    """What the file says of itself, as far as it can be read."""
    said: dict[str, Any] = {}
    try:
        found = reader.metadata
        if found is not None:
            said = {"title": found.title, "author": found.author}
            made = found.creation_date
            said["date"] = made.date().isoformat() if made else None
    except Exception:  # a date or name that is damaged is no reason to refuse the text
        said.setdefault("date", None)
    return {name: value for name, value in said.items() if isinstance(value, str) and value.strip()}


PDF = Format("pdf", (".pdf",), read_pdf, binary=True)
