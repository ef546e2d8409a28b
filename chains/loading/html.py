r"""HTML: the main text of a page, without menus and adverts, and what the page says of itself.

    reading = read_html(data, Limits())
    reading.text            # "# Sick leave\n\nCall before nine ..."
    reading.metadata        # {"title": "Sick leave", "date": "2024-03-01", "encoding": "utf-8"}

trafilatura finds the main text; where it finds none, all that a reader would see is taken.
"""

import unicodedata
from typing import Any

from chains.loading.base import Format, Limits, Reading, Unreadable
from chains.loading.declarations import decode_markup
from chains.loading.markup import tree_text

_DATES = {"original_date": True, "min_date": "1990-01-01", "max_date": "2100-01-01"}
"""Without an end of its own the search for a date would depend on today's."""


def read_html(data: bytes, limits: Limits) -> Reading:
    """The main text of a page.

    Raises:
        Unreadable: `binary`, `undecodable`, or `empty` where it shows no text.
    """
    page, encoding = decode_markup(data)
    text = page_text(page)
    if not text:
        raise Unreadable("empty", "the page shows no text")
    return Reading(text, metadata={**_metadata(page), "encoding": encoding})


def page_text(page: str) -> str:
    """The main text of a page, else all that it shows; empty where it shows nothing."""
    from trafilatura import bare_extraction

    found: Any = bare_extraction(page, include_comments=False, output_format="python")
    text = "" if found is None else tree_text(found.body)
    return unicodedata.normalize("NFC", text or shown_text(page))


def shown_text(page: str) -> str:
    """All that a page shows, menus too; empty where it shows nothing."""
    from lxml import etree, html

    parser = html.HTMLParser(no_network=True, encoding="utf-8")  # whatever the page declares
    try:
        root = html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:  # nothing but comments and white space
        return ""
    return tree_text(root)


def _metadata(page: str) -> dict[str, Any]:
    from trafilatura import extract_metadata

    found = extract_metadata(page, date_config=_DATES)
    names = ("title", "author", "date", "url", "language")
    said = {name: getattr(found, name) for name in names}
    return {name: value for name, value in said.items() if value}


HTML = Format("html", (".htm", ".html", ".xhtml"), read_html, binary=True)
