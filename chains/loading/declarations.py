"""What a page of HTML or XML says of its own encoding, followed as browsers follow it.

    decode_markup(b'<meta charset="shift_jis">...')     # ("<meta ...", "cp932")

A byte order mark comes first, then UTF-8 where the bytes are UTF-8, then what the page declares,
where the bytes fit it, and else what the bytes look like.
"""

import codecs
import re

from chains.loading.base import Unreadable
from chains.loading.encodings import decode_named, detect

_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})|<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_LOOKED_AT = 8192  # bytes; HTML asks for the first 1024, pages often begin with scripts

_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
"""Codec of Python -> the larger one that pages mean by it (WHATWG Encoding Standard)."""

_NO_PAGES = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"})


def decode_markup(data: bytes) -> tuple[str, str]:
    """The text of a page and its encoding, a byte order mark left out.

    Raises:
        Unreadable: `binary`, or `undecodable` where no encoding fits.
    """
    declared = _declared(data)
    if declared and not data.startswith(
        (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        for encoding in ("utf-8", declared):
            try:
                return decode_named(data, encoding), encoding
            except Unreadable:
                continue
    encoding = detect(data)
    return decode_named(data, encoding), encoding


def _declared(data: bytes) -> str:
    """The codec that a page declares; empty where it declares none that there is."""
    found = _DECLARED.search(data, 0, _LOOKED_AT)
    if not found:
        return ""
    label = (found.group(1) or found.group(2)).decode("ascii", "replace")
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return ""
    if name in _NO_PAGES or name.startswith(
        ("utf-16", "utf-32")
    ):  # then the declaration itself could not be read
        return ""
    return _MEANT.get(name, name)
