r"""Rich Text Format, as WordPad and old word processors write it, through striprtf.

read_rtf(b"{\\rtf1\\ansi Caf\\'e9 \\b opens\\b0  at nine.}", Limits()).text
# "Café opens at nine."
"""

from chains.loading.base import Format, Limits, Reading, Unreadable
from chains.loading.joining import whole_characters


def read_rtf(data: bytes, limits: Limits) -> Reading:
    """The text of a document; characters that its code page lacks become U+FFFD.

    Raises:
        Unreadable: `malformed`, or `empty` where it holds no text.
    """
    from striprtf.striprtf import rtf_to_text

    if not data.lstrip().startswith(b"{\\rtf"):
        raise Unreadable("malformed", "does not begin like an RTF file")
    text = whole_characters(rtf_to_text(data.decode("latin-1"), errors="replace")).strip()
    if not text:
        raise Unreadable("empty", "no text in the document")
    return Reading(text)


RTF = Format("rtf", (".rtf",), read_rtf, binary=True)
