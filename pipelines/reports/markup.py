"""HTML from nested calls: what is not `Markup` is escaped, so no text can become a tag.

    tag("p", "a < b ", tag("b", "really"), class_="note")
    # <p class="note">a &lt; b <b>really</b></p>

Characters that a terminal would obey, or that turn the direction of what follows, become U+FFFD.
"""

from collections.abc import Iterable
from html import escape

from pipelines.console import plain

_VOID = frozenset({"input", "link", "meta"})


class Markup(str):
    """HTML that is safe as it stands."""

    __slots__ = ()


Inside = str | int | None | Iterable["Inside"]


def tag(name: str, /, *inside: Inside, **attributes: str | int | float | bool | None) -> Markup:
    """An element.

    Args:
        name: Its name.
        inside: Texts, elements, or lists of these; None is nothing.
        attributes: A trailing underscore goes, other underscores become hyphens. False and None
            leave the attribute out, True gives it no value.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(inside)}</{name}>")


def joined(inside: Inside) -> Markup:
    """Texts and elements behind each other."""
    if inside is None:
        return Markup()
    if isinstance(inside, Markup):
        return inside
    if isinstance(inside, str | int):
        return Markup(escape(clean(str(inside)), quote=False))
    return Markup("".join(joined(part) for part in inside))


def clean(text: str) -> str:
    """`text` without what a terminal or the direction of writing would obey."""
    return plain(text.replace("\r\n", "\n"))


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(clean(shown))}"'
