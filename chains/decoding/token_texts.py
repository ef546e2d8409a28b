r"""What every token of a vocabulary adds to a text, looked up without decoding.

    texts = vocabulary.texts
    texts.pieces[2345]                    # b" cat"; half of a character is b"\xc3"
    texts.named(" cat")                   # [2345]
    texts.beginning("ca")                 # [880, 1203, 2345, ...], whatever the case

A token is bytes, not text: byte-level tokenizers and byte fallbacks cut characters in pieces.
"""

import json
import re
from bisect import bisect_left
from codecs import getincrementaldecoder
from functools import cached_property
from typing import Any, NamedTuple

_DECODER = getincrementaldecoder("utf-8")
_SPACE = "\u2581"
"""A space, as SentencePiece writes it."""

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")


class Folded(NamedTuple):
    """A piece, its case folded.

    Attributes:
        text: Its whole characters; bytes that belong to none are U+FFFD.
        rest: The bytes of a character that it only begins.
    """

    text: str
    rest: bytes


def fold(piece: bytes) -> Folded:
    """Case folding goes character by character, so that the parts of a text fold to its parts."""
    decoder = _DECODER("replace")
    text = decoder.decode(piece)
    return Folded(text.casefold(), decoder.getstate()[0])


class TokenTexts:
    """The texts of a tokenizer's tokens.

    Args:
        tokenizer: Of transformers.

    Attributes:
        pieces: What token i adds to a text; nothing for those that are left out of it.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.pieces = _pieces(tokenizer)

    @cached_property
    def folded(self) -> list[Folded]:
        """`fold` of every piece."""
        return [fold(piece) for piece in self.pieces]

    @cached_property
    def inner(self) -> list[int]:
        """Tokens whose first byte continues a character."""
        return [token for token, piece in enumerate(self.pieces) if piece and piece[0] >> 6 == 2]

    @cached_property
    def _sorted(self) -> list[tuple[str, int]]:
        return sorted((folded.text, token) for token, folded in enumerate(self.folded))

    def beginning(self, start: str) -> list[int]:
        """Tokens whose folded text begins with `start`, which is not empty."""
        low = bisect_left(self._sorted, (start, -1))
        high = bisect_left(self._sorted, (start[:-1] + chr(ord(start[-1]) + 1), -1), low)
        return [token for _, token in self._sorted[low:high]]

    def named(self, text: str) -> list[int]:
        """Tokens that add exactly this text, or that are called so and add none (`</s>`)."""
        wanted = text.encode()
        special: Any = self._tokenizer.get_vocab().get(text)
        found = [token for token, piece in enumerate(self.pieces) if piece == wanted]
        if special is not None and not self.pieces[special]:
            found.append(special)
        return found

    def split(self, text: str) -> list[str]:
        """The tokens of a text, for messages."""
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        return [self.pieces[token].decode("utf-8", "replace") for token in ids]


def _pieces(tokenizer: Any) -> list[bytes]:
    size = len(tokenizer)
    added = tokenizer.added_tokens_decoder
    silent = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    names = tokenizer.convert_ids_to_tokens(list(range(size)))
    if _is_byte_level(tokenizer):
        table = _byte_characters()
        pieces = [_from_characters(name or "", table) for name in names]
    else:
        pieces = _by_decoding(tokenizer, names)
    for token, entry in added.items():
        if token < size:
            pieces[token] = entry.content.encode()
    return [b"" if token in silent else piece for token, piece in enumerate(pieces)]


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.decoder is None:
        return False
    state = json.loads(backend.decoder.__getstate__())
    return "ByteLevel" in {state["type"], *(each["type"] for each in state.get("decoders", []))}


def _byte_characters() -> dict[str, int]:
    """The characters that byte-level BPE writes bytes with (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + place): byte for place, byte in enumerate(others)}


def _from_characters(name: str, table: dict[str, int]) -> bytes:
    if all(character in table for character in name):
        return bytes(table[character] for character in name)
    return name.encode()


def _by_decoding(tokenizer: Any, names: list[str]) -> list[bytes]:
    """What a token adds behind another one: alone it would lose its space or its joint."""
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    alone = ((token, tokenizer.decode([token], **options)) for token in range(len(names)))
    first, before = next((token, text) for token, text in alone if text.isalnum())
    pieces = []
    for token, name in enumerate(names):
        byte = _BYTE_TOKEN.fullmatch(name or "")
        if byte:
            pieces.append(bytes.fromhex(byte[1]))
        elif name and not name.strip(_SPACE):  # lost at the end of a text
            pieces.append(b" " * len(name))
        else:
            text = tokenizer.decode([first, token], **options)
            pieces.append(text[len(before) :].encode())
    return pieces
