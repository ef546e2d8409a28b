r"""Bytes to text, without guessing where they are plain and without losing one where they are not.

    decode(b"caf\xc3\xa9")              # "café": UTF-8 first, strictly
    decode(b"\xff\xfec\x00a\x00")       # "ca": a byte order mark decides, and not in the text
    decode(b"caf\xe9 cr\xe8me ...")     # "café crème": else what charset-normalizer finds likeliest
    decode(b"%PDF-1.7 ...")             # Unreadable("binary", "begins like a PDF file")

Line ends and every other character stay as they are, so that offsets into the text mean something.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator

from chains.loading.base import Unreadable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that one's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip or Office"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office"),
    (b"\x89PNG\r\n\x1a\n", "a PNG"),
    (b"\xff\xd8\xff", "a JPEG"),
    (b"GIF8", "a GIF"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\x1f\x8b\x08", "a gzip"),
    (b"BZh", "a bzip2"),
    (b"\xfd7zXZ\x00", "an xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip"),
    (b"SQLite format 3\x00", "an SQLite"),
    (b"PAR1", "a Parquet"),
)

_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"

_LATIN = re.compile(
    r"cp125[02478]|iso8859_(1|2|3|4|9|10|13|14|15|16)|hp_roman8|mac_\w+|cp775|cp85\d"
)
"""What charset-normalizer answers for Latin text; which of them, it often cannot tell."""

_LETTERS = (
    (
        "cp1252",
        "àâæçèéêëîïôœùûüÿ äöüß áéíñóúü àèéìíîòóùú áâãàçéêíóôõú åäöéü åæøéöä éëïöüáó áæðéíóöúýþ",
    ),
    ("cp1250", "áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž ąćęłńóśźż áéíóöőúüű čćđšž ăâîşţ"),
    ("iso8859_2", "áčďéěíňóřšťúůýž áäčďéíĺľňóôŕšťúýž ąćęłńóśźż áéíóöőúüű čćđšž ăâîşţ"),
    ("cp1254", "çğıöşüâîû"),
)
"""The letters beyond ASCII of the languages that an encoding is made for, likeliest first."""

_LARGER = {
    "shift_jis": "cp932",
    "shift_jis_2004": "cp932",
    "shift_jisx0213": "cp932",
    "euc_kr": "cp949",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
"""Encodings -> those that files hold in their place: Windows adds letters and marks of its own."""

_MARKS_OF_PRINT = frozenset("‘’‚“”„–—…«»‹›¡¿°§·©®™€£\xa0")  # noqa: RUF001

MOST_CONTROLS = 0.05
"""Share of control characters above which something is no text."""


def decode(data: bytes) -> str:
    """The text that `data` holds, its byte order mark left out.

    Raises:
        Unreadable: `binary`, or `undecodable` where no encoding fits.
    """
    return decode_named(data, detect(data))


def decode_named(data: bytes, encoding: str) -> str:
    """The text that `data` holds in `encoding`.

    Raises:
        Unreadable: `undecodable`, where it is not in that encoding.
    """
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as exc:
        raise Unreadable("undecodable", f"looked like {encoding}: {exc}") from exc


def detect(data: bytes, *, cut: bool = False) -> str:
    """The name of the encoding of `data`, as Python's codecs know it.

    Args:
        data: A text, or with `cut` the beginning of one.
        cut: The end of `data` may lie inside a character.

    Raises:
        Unreadable: `binary`, or `undecodable` where no encoding fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise Unreadable("binary", f"begins like {what} file")
    for encoding in _seven_bit(data, cut):
        return encoding
    if _decodes(data, "utf-8", cut) and _controls(data) <= MOST_CONTROLS:
        return "utf-8"
    for encoding in _wide(data, cut):
        return encoding
    return _legacy(data)


def _decodes(data: bytes, encoding: str, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except UnicodeDecodeError:
        return False
    return True


def _controls(data: bytes) -> float:
    return (len(data) - len(data.translate(None, _CONTROLS))) / max(len(data), 1)


def _seven_bit(data: bytes, cut: bool) -> Iterator[str]:
    """Encodings that switch character sets by escape sequences and so look like ASCII."""
    escapes = ((b"\x1b$)C", "iso2022_kr"), (b"\x1b$", "iso2022_jp_2"))
    for escape, encoding in escapes:
        if escape in data and _decodes(data, encoding, cut):
            yield encoding


def _wide(data: bytes, cut: bool) -> Iterator[str]:
    """UTF-32 and UTF-16 without a mark, told by where the zero bytes of ASCII characters lie."""
    if cut:
        data = data[: len(data) // 4 * 4]
    zeros = [data[place::4].count(0) for place in range(4)]
    quarter = max(len(data) // 4, 1)
    guesses = (
        ("utf-32-be", zeros[0] >= quarter and zeros[1] > 0.9 * quarter),
        ("utf-32-le", zeros[3] >= quarter and zeros[2] > 0.9 * quarter),
        ("utf-16-be", zeros[0] + zeros[2] > 0.1 * quarter and 5 * (zeros[1] + zeros[3]) < zeros[0]),
        ("utf-16-le", zeros[1] + zeros[3] > 0.1 * quarter and 5 * (zeros[0] + zeros[2]) < zeros[1]),
    )
    for encoding, likely in guesses:
        if likely and _decodes(data, encoding, cut):
            text = data.decode(encoding)
            if _controls(text.encode("utf-8")) <= MOST_CONTROLS:
                yield encoding


def _legacy(data: bytes) -> str:
    from charset_normalizer import from_bytes  # only files that are not UTF-8 need it

    if _controls(data) > MOST_CONTROLS:
        raise Unreadable("binary", f"{_controls(data):.0%} of its bytes are control characters")
    best = from_bytes(data).best()
    if best is None:
        raise Unreadable("undecodable", "neither UTF-8 nor any legacy encoding fits")
    if _LATIN.fullmatch(best.encoding):
        return _latin(data, best.encoding)
    larger = _LARGER.get(best.encoding, best.encoding)
    return larger if _decodes(data, larger, cut=True) else best.encoding


def _latin(data: bytes, otherwise: str) -> str:
    """The encoding under which most characters beyond ASCII are letters of one language."""
    high = data.translate(None, bytes(range(0x80)))
    fits = {encoding: 0.0 for encoding, _ in _LETTERS}
    for encoding, languages in _LETTERS:
        count = Counter(high.decode(encoding, "replace").lower())
        for letters in languages.split(" "):
            usual = _MARKS_OF_PRINT.union(letters)
            share = sum(number for char, number in count.items() if char in usual) / len(high)
            fits[encoding] = max(share, fits[encoding])
    fits[otherwise] = max(fits.get(otherwise, 0.0), 0.8)
    return max(fits, key=lambda encoding: fits[encoding])
