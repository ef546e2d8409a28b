r"""E-mail: subject and text of a message, and of those forwarded inside it.

    reading = read_eml(data, Limits())
    reading.text            # "# Room B is booked\n\nPlease take room C instead."
    reading.metadata        # {"title": "Room B is booked", "author": "Ana <ana@...>", "date": ...}
    reading.faults          # (Fault("attachment plan.pdf", "attachment", "application/pdf"),)

Attachments are not read: save them beside the message.
"""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from typing import Any

from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.declarations import decode_markup
from chains.loading.encodings import decode, decode_named
from chains.loading.html import shown_text
from chains.loading.joining import joined

_LOCKED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"})
_NOT_READ = "attachments are not read; save it beside the message"


def read_eml(data: bytes, limits: Limits) -> Reading:
    """The text of a message; one that is forwarded inside it is a part of its own.

    Raises:
        Unreadable: `encrypted`, `malformed`, or `empty` where no message holds text.
    """
    if b"\x00" in data[:64]:  # UTF-16, which no mail program sends but some save
        data = decode(data).encode("utf-8", "replace")
    message = message_from_bytes(data, policy=policy.default)
    if not message.keys():
        raise Unreadable("malformed", "it has no headers")
    if any(part.get_content_type() in _LOCKED for part in message.walk()):
        raise Unreadable("encrypted", "its text is encrypted (S/MIME or PGP)")
    texts: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for number, inner in enumerate(_messages(message), start=1):
        subject = _header(inner, "subject")
        body, not_read = _body(inner)
        faults += not_read
        head = f"# {subject}\n\n" if subject else ""
        texts.append((str(number), head + body if body.strip() else ""))
    text, parts = joined(texts, "message")
    if not text:
        raise Unreadable("empty", "no text in the message")
    return Reading(text, parts, _metadata(message), tuple(faults))


def _messages(message: EmailMessage) -> Iterator[EmailMessage]:
    """The message and those attached to it, however deep."""
    waiting = [message]
    while waiting:
        found = waiting.pop(0)
        yield found
        for part in _leaves(found):
            if part.get_content_type() == "message/rfc822":
                waiting += [m for m in part.iter_parts() if isinstance(m, EmailMessage)]


def _leaves(message: MIMEPart) -> Iterator[MIMEPart]:
    """Parts of a message that hold no others, messages inside it among them."""
    waiting = list(message.iter_parts()) if message.is_multipart() else [message]
    while waiting:
        part = waiting.pop(0)
        if part.get_content_maintype() == "multipart":
            waiting = [*part.iter_parts(), *waiting]
        else:
            yield part


def _body(message: MIMEPart) -> tuple[str, list[Fault]]:
    """The text of one message, plain where it has both forms, and what was not read."""
    chosen = message.get_body(("plain", "html"))
    texts: list[str] = []
    faults: list[Fault] = []
    alternatives: set[int] = set()
    for inner in message.walk():
        if inner.get_content_type() == "multipart/alternative" and isinstance(inner, MIMEPart):
            alternatives |= {id(form) for form in _leaves(inner)}
    for part in _leaves(message):
        kind = part.get_content_type()
        attached = part.get_content_disposition() == "attachment" or part.get_filename()
        if part is chosen or (
            kind in {"text/plain", "text/html"} and not attached and id(part) not in alternatives
        ):
            texts.append(_part_text(part))
        elif attached and kind != "message/rfc822":
            name = part.get_filename() or "without a name"
            faults.append(Fault(f"attachment {name}", "attachment", f"{kind}; {_NOT_READ}"))
    return "\n\n".join(text.strip() for text in texts if text.strip()), faults


def _part_text(part: MIMEPart) -> str:
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else b""
    charset = part.get_content_charset() or ""
    try:
        text = decode_named(data, charset or "utf-8")
    except Unreadable:
        text = decode(data) if data.strip() else ""
    if part.get_content_type() == "text/html":
        return shown_text(text if charset else decode_markup(data)[0]) if data.strip() else ""
    return text.replace("\r\n", "\n")


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except Exception:  # headers that break the grammar raise what its parser raises
        return ""


def _metadata(message: EmailMessage) -> dict[str, Any]:
    said = {"title": _header(message, "subject"), "author": _header(message, "from")}
    try:
        moment = getattr(message.get("date"), "datetime", None)
    except Exception:  # as above
        moment = None
    said["date"] = moment.date().isoformat() if moment else ""
    return {name: value for name, value in said.items() if value}


EML = Format("eml", (".eml",), read_eml, binary=True)
