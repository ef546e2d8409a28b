"""Zip archives and the XML inside them, opened so that neither can outgrow its reader.

    archive = Archive(data, limits)
    archive.names               # ["word/document.xml", ...]
    archive.xml("word/document.xml")

Sizes are checked before and while a member is unpacked, for what an archive says of itself need not
be true. XML is parsed without document types, entities or network.
"""

import posixpath
import zipfile
from io import BytesIO
from typing import Any

from chains.loading.base import Limits, Unreadable

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = 0x1
_MOST_RATIO = 1000
"""Deflate cannot reach 1032; text is below 50."""


class Archive:
    """The members of a zip archive.

    Args:
        data: Its bytes.
        limits: Members, and the bytes that they may come to.

    Raises:
        Unreadable: `encrypted`, `malformed`, `truncated`, `unsafe_member` or `zip_bomb`.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        if data.startswith(_OLE):
            raise Unreadable("encrypted", "an Office file with a password, or an old one renamed")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
            members = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            cut = data.startswith(b"PK\x03\x04") and b"PK\x05\x06" not in data[-70_000:]
            reason = "truncated" if cut else "malformed"
            raise Unreadable(reason, f"no whole zip archive: {exc}") from exc
        _check(members, limits)
        self._left = limits.unpacked
        self.names = [member.filename for member in members]

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            Unreadable: `malformed` where there is none, or it is damaged; `zip_bomb`.
        """
        try:
            with self._zip.open(name) as member:
                data = member.read(self._left + 1)
        except KeyError as exc:
            raise Unreadable("malformed", f"the archive lacks '{name}'") from exc
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as exc:
            raise Unreadable("malformed", f"'{name}' is damaged: {exc}") from exc
        except Exception as exc:  # zlib.error and its like have no common ancestor
            raise Unreadable("malformed", f"'{name}' is damaged: {exc}") from exc
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable("zip_bomb", f"'{name}' unpacks to more than is allowed")
        return data

    def xml(self, name: str) -> Any:
        """The root element of a member that is XML.

        Raises:
            Unreadable: As `read`; `xml_entities` for a document type or entities.
        """
        return parse_xml(self.read(name), name)

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What an Office part refers to: id -> (kind, member's name); empty where it has none."""
        folder, base = posixpath.split(name)
        beside = posixpath.join(folder, "_rels", f"{base}.rels")
        if beside not in self.names:
            return {}
        found = {}
        for relation in self.xml(beside):
            kind = relation.get("Type", "").rpartition("/")[2]
            if relation.get("TargetMode") != "External":
                target = resolved(relation.get("Target", ""), folder)
                found[relation.get("Id", "")] = (kind, target)
        return found


def resolved(target: str, folder: str) -> str:
    """The member that `target` names, seen from `folder`."""
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def parse_xml(data: bytes | str, name: str, *, doctype: bool = False) -> Any:
    """The root element of an XML document, as of the standard library.

    Args:
        data: The document.
        name: What messages call it.
        doctype: Let it name its document type, which is not looked at, but define no entities.

    Raises:
        Unreadable: `malformed`; `xml_entities` for a document type or entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(data, forbid_dtd=not doctype)
    except DefusedXmlException as exc:
        what = "entities" if doctype else "a document type, which may define entities"
        detail = f"'{name}' has {what}"
        raise Unreadable("xml_entities", detail) from exc
    except (ParseError, ValueError, LookupError) as exc:
        raise Unreadable("malformed", f"'{name}' is no well-formed XML: {exc}") from exc


def local(element: Any) -> str:
    """The name of an element or attribute without its namespace."""
    name = element if isinstance(element, str) else element.tag
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _check(members: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Refuse what must not be unpacked.

    Raises:
        Unreadable: `encrypted`, `unsafe_member` or `zip_bomb`.
    """
    if len(members) > limits.members:
        raise Unreadable("zip_bomb", f"{len(members)} members, at most {limits.members} are read")
    whole = sum(member.file_size for member in members)
    if whole > limits.unpacked:
        detail = f"unpacks to {whole} bytes, at most {limits.unpacked} are read"
        raise Unreadable("zip_bomb", detail)
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise Unreadable("unsafe_member", f"the archive holds '{name}'")
        if member.flag_bits & _ENCRYPTED:
            raise Unreadable("encrypted", f"the archive's '{name}' has a password")
        if member.file_size > _MOST_RATIO * max(member.compress_size, 1):
            raise Unreadable("zip_bomb", f"'{name}' unpacks to {member.file_size} bytes")
