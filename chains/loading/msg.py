r"""Outlook messages: subject and text, through olefile.

read_msg(data, Limits()).text       # "# Room B is booked\n\nPlease take room C instead."

A message is a small file system; each property is a file in it, named by its number and type
(MS-OXMSG 2.4, MS-OXPROPS): 0037 subject, 0C1A sender, 1000 text, 1013 HTML.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.encodings import decode
from chains.loading.html import shown_text
from chains.loading.joining import joined

if TYPE_CHECKING:
    from olefile import OleFileIO

_CLASS, _SUBJECT, _SENDER, _TEXT, _HTML = "001A", "0037", "0C1A", "1000", "1013"
_NAME, _SHORT_NAME = "3707", "3704"
_LOCKED = "smime"


def read_msg(data: bytes, limits: Limits) -> Reading:
    """The text of a message.

    Raises:
        Unreadable: `malformed`, `encrypted`, or `empty` where it holds no text.
    """
    from olefile import OleFileIO

    try:
        message = OleFileIO(BytesIO(data))
    except OSError as exc:
        raise Unreadable("malformed", f"no Outlook message: {exc}") from exc
    subject = _property(message, (), _SUBJECT)
    body = _property(message, (), _TEXT).strip() or _html(message)
    if not body:
        if _LOCKED in _property(message, (), _CLASS).lower():
            raise Unreadable("encrypted", "its text is encrypted (S/MIME)")
        raise Unreadable("empty", "no text in the message")
    head = f"# {' '.join(subject.split())}\n\n" if subject.strip() else ""
    text, parts = joined([("1", head + body.replace("\r\n", "\n"))], "message")
    said = {"title": " ".join(subject.split()), "author": _property(message, (), _SENDER).strip()}
    metadata = {name: value for name, value in said.items() if value}
    return Reading(text, parts, metadata, tuple(_attachments(message)))


def _property(message: "OleFileIO", folder: Sequence[str], number: str) -> str:
    """A text of the message, stored as UTF-16 or in the code page of who wrote it; else empty."""
    for kind in ("001F", "001E"):
        path = [*folder, f"__substg1.0_{number}{kind}"]
        if message.exists(path):
            data = message.openstream(path).read()
            if kind == "001F":
                return str(data.decode("utf-16-le", "replace")).rstrip("\x00")
            return decode(data).rstrip("\x00") if data.strip(b"\x00 ") else ""
    return ""


def _html(message: "OleFileIO") -> str:
    path = [f"__substg1.0_{_HTML}0102"]
    if message.exists(path):
        data = message.openstream(path).read()
        return shown_text(decode(data)) if data.strip() else ""
    text = _property(message, (), _HTML)
    return shown_text(text) if text.strip() else ""


def _attachments(message: "OleFileIO") -> list[Fault]:
    found = sorted({e[0] for e in message.listdir() if e[0].startswith("__attach_version1.0_")})
    names = []
    for folder in found:
        name = _property(message, (folder,), _NAME) or _property(message, (folder,), _SHORT_NAME)
        names.append(name or "without a name")
    detail = "attachments are not read; save it beside the message"
    return [Fault(f"attachment {name}", "attachment", detail) for name in names]


MSG = Format("msg", (".msg",), read_msg, binary=True)
