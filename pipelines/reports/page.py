"""The page itself: one HTML file with its style, its script and its data inside.

page("demo", parts, data)     # "<!doctype html>..."

Nothing is loaded from anywhere: the policy forbids it, and names style and script by their hash,
so that nothing that was smuggled into a row could run even if it became a tag. The data are JSON in
a script element of a type that is not run, with every `<` escaped.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from pipelines.reports.markup import Markup, clean, tag
from pipelines.rows import JSON

_STYLES = ("report.css",)
_SCRIPTS = ("page.js", "rows.js")


class Part(NamedTuple):
    """A section of the page.

    Attributes:
        name: Its anchor.
        title: Its heading, and its entry in the table of contents.
        body: What stands below the heading.
    """

    name: str
    title: str
    body: Markup


def page(title: str, head: Markup, parts: Sequence[Part], data: Mapping[str, JSON]) -> str:
    """The whole file.

    Args:
        title: Of the page and of its first heading.
        head: What stands below the first heading.
        parts: The sections.
        data: What the script shows; see `pipelines.reports.packing`.
    """
    style = "\n".join(map(_asset, _STYLES))
    script = "\n".join(map(_asset, _SCRIPTS))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} · textmill report"),
        Markup(f"<style>{style}</style>"),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", class_="skip", href="#content"),
        _contents(parts),
        tag(
            "main",
            tag("header", tag("h1", title), head, class_="head"),
            [_section(part) for part in parts],
            tag("footer", "Made by textmill. The page asks nothing of any network."),
            id="content",
        ),
        Markup(f'<script type="application/json" id="data">{embedded(data)}</script>'),
        Markup(f"<script>{script}</script>"),
    )
    return f"<!doctype html>\n{tag('html', top, body, lang='en')}\n"


def embedded(data: JSON) -> str:
    """JSON that can stand inside a script element: no text in it can close the element."""
    text = json.dumps(_cleaned(data), ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _cleaned(value: JSON) -> JSON:
    """`value` without control characters, before JSON writes them as escapes."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def _section(part: Part) -> Markup:
    heading = tag("h2", part.title, id=f"{part.name}-title")
    return tag("section", heading, part.body, id=part.name, aria_labelledby=f"{part.name}-title")


def _contents(parts: Sequence[Part]) -> Markup:
    links = [tag("li", tag("a", part.title, href=f"#{part.name}")) for part in parts]
    theme = tag("button", "Theme: system", type="button", id="theme", hidden=True)
    brand = tag("a", "textmill", class_="brand", href="#content")
    return tag(
        "nav", brand, tag("ul", links, role="list"), theme, class_="rail", aria_label="Contents"
    )


def _asset(name: str) -> str:
    return files("pipelines.reports").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
