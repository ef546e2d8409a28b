r"""Reading replies: what a model wrote becomes a value, or a fault with a reason; nothing raises.

parse_reply(Output(), "  Paris. ")                             # ParsedValue("Paris.")
parse_reply(Output(form="lines"), "- red")                     # ParsedValue(["red"])
parse_reply(Output(form="json"), 'Sure: {"score": 4}')         # ParsedValue({"score": 4})
parse_reply(Output(form="json"), '{"score": NaN}')             # ParseFault("not_finite", "NaN")
parse_reply(Output(form="choice", choices=("yes", "no")), "no\n")            # ParsedValue("no")
parse_reply(Output(form="regex", pattern="[0-9]+"), "12a")        # ParseFault("no_match", "12a")
parse_reply(Output(form="code", language="python"), "def f(:")    # ParseFault("not_code", ...)
parser_for(Output(form="lines"))                               # the same as a LangChain parser
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prompts.code_syntax import Language, blocks_of, syntax_fault
from prompts.errors import shorten
from prompts.file_format import Output

if TYPE_CHECKING:
    from langchain_core.output_parsers import BaseOutputParser

MAX_REPLY = 1_000_000  # characters
MAX_DEPTH = 50
MAX_INT = 2**63 - 1  # what an Arrow column holds
LONGEST_DETAIL = 200


@dataclass(frozen=True, slots=True)
class ParsedValue:
    """A reply that could be read: a str, a list of str, or for form json any JSON value."""

    value: Any


@dataclass(frozen=True, slots=True)
class ParseFault:
    """Why a reply could not be read.

    Attributes:
        reason: A short name to count by: `empty_reply`, `too_long`, `lone_surrogate`, `no_json`,
            `several_json`, `bad_json`, `cut_json`, `duplicate_keys`, `not_finite`, `huge_integer`,
            `too_deep`, `schema_mismatch`, `not_a_choice`, `no_match`, `several_blocks` or
            `not_code`.
        detail: What was found, up to 200 characters.
    """

    reason: str
    detail: str


class _Refused(ValueError):
    """Raised inside the JSON reader's hooks."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.fault = _fault(reason, detail)


def parse_reply(output: Output, text: str) -> ParsedValue | ParseFault:
    """Read one reply.

    text: without outer whitespace. lines: the lines that hold something, without list marks
    (`1.`, `2)`, `-`, `*`). json: exactly one value that matches the schema; prose and code fences
    around it are passed over as long as no second value stands there. choice: one of the choices to
    the letter, outer whitespace aside. regex: the whole reply, or the reply without outer
    whitespace, matches. code: the one fenced block, or the reply where there is none, parses.
    """
    if len(text) > MAX_REPLY:
        return ParseFault("too_long", f"{len(text)} characters, at most {MAX_REPLY}")
    surrogate = _SURROGATE.search(text)
    if surrogate:
        return ParseFault("lone_surrogate", f"U+{ord(surrogate.group()):04X}")
    if not any(char.isprintable() and not char.isspace() for char in text):
        return ParseFault("empty_reply", f"{len(text)} characters, none to be seen")
    if output.form == "text":
        return ParsedValue(text.strip())
    if output.form == "lines":
        lines = _lines(text)
        return ParsedValue(lines) if lines else ParseFault("empty_reply", "list marks alone")
    if output.form == "json":
        return _json(output, text.strip())
    if output.form == "choice":
        known = text.strip() in output.choices
        return ParsedValue(text.strip()) if known else _fault("not_a_choice", text)
    return _code(output.language, text) if output.language else _matching(output, text)


def parser_for(output: Output) -> "BaseOutputParser[Any]":
    """A LangChain parser that does what `parse_reply` does.

    Its `parse` raises `OutputParserException` where that gives a fault.
    """
    from chains.prompting import ReplyParser  # LangChain takes a second to import

    return ReplyParser(output=output)


_SURROGATE = re.compile("[\ud800-\udfff]")
_MARK = re.compile(r"\s*(?:[-*\u2022]|\d{1,3}[.)])(?:\s+|$)")
_FENCED = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


def _lines(text: str) -> list[str]:
    lines = (_MARK.sub("", line, count=1).strip() for line in text.split("\n"))
    return [line for line in lines if line]


def _matching(output: Output, text: str) -> ParsedValue | ParseFault:
    for reply in (text, text.strip()):
        if output.matches(reply):
            return ParsedValue(reply)
    return _fault("no_match", text)


def _code(language: Language, text: str) -> ParsedValue | ParseFault:
    blocks = blocks_of(text)
    if len(blocks) > 1:
        return ParseFault("several_blocks", f"{len(blocks)} fenced blocks")
    if not blocks[0]:
        return ParseFault("empty_reply", "a fenced block without code")
    fault = syntax_fault(language, blocks[0])
    return _fault("not_code", fault) if fault else ParsedValue(blocks[0])


def _json(output: Output, text: str) -> ParsedValue | ParseFault:
    fenced = _FENCED.fullmatch(text)
    whole = _load(fenced.group(1) if fenced else text)
    if isinstance(whole, ParseFault) and whole.reason == "bad_json":
        whole = _only_value_inside(text, whole)
    if isinstance(whole, ParseFault):
        return whole
    fault = output.fault(whole.value)
    return ParseFault("schema_mismatch", fault) if fault else whole


def _only_value_inside(text: str, whole: ParseFault) -> ParsedValue | ParseFault:
    """The one object or list in a text that is not JSON as a whole."""
    found: list[ParsedValue] = []
    faults: list[ParseFault] = []
    for start, end in _spans(text):
        if end is None:
            faults.append(_fault("cut_json", text[start:]))
            break
        value = _load(text[start:end])
        if isinstance(value, ParsedValue):
            found.append(value)
        else:
            faults.append(value)
    serious = [fault for fault in faults if fault.reason != "bad_json"]
    if serious:
        return serious[0]
    if len(found) == 1:
        return found[0]
    if found:
        return ParseFault("several_json", f"{len(found)} values")
    return faults[0] if faults else ParseFault("no_json", whole.detail)


def _spans(text: str) -> Iterator[tuple[int, int | None]]:
    """Start and end of every outermost bracketed part; the end None where the text stops first."""
    begin = depth = 0
    for place, depth, opens in _brackets(text):
        if opens and depth == 1:
            begin = place
        elif depth == 0:
            yield begin, place + 1
    if depth:
        yield begin, None


def _brackets(text: str) -> Iterator[tuple[int, int, bool]]:
    """Place of every bracket, depth after it, and whether it opens; in one pass.

    A quote counts inside brackets only: prose has apostrophes and inch marks of its own.
    """
    place = depth = 0
    while match := (_TOKEN if depth else _OPENING).search(text, place):
        place = match.end()
        if match.group() in ("{", "["):
            depth += 1
            yield match.start(), depth, True
        elif match.group() in ("}", "]"):
            depth -= 1
            yield match.start(), depth, False


def _load(text: str) -> ParsedValue | ParseFault:
    """`text` as strict JSON: no NaN, no key twice, nothing that a column cannot hold."""
    text = text.strip()
    nested = text[:1] in ("{", "[")
    if nested and any(depth > MAX_DEPTH for _, depth, _ in _brackets(text)):
        return ParseFault("too_deep", f"more than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except _Refused as exc:
        return exc.fault
    except UnicodeEncodeError as exc:
        return ParseFault("lone_surrogate", f"U+{ord(exc.object[exc.start]):04X}")
    except json.JSONDecodeError as exc:
        return ParseFault("bad_json", f"{exc.msg} at character {exc.pos}")
    return ParsedValue(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Refused("duplicate_keys", name)
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > len(str(-MAX_INT)) or abs(int(digits)) > MAX_INT:
        raise _Refused("huge_integer", f"{len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused("not_finite", digits)
    return value


def _constant(name: str) -> Any:
    raise _Refused("not_finite", name)


def _fault(reason: str, detail: str) -> ParseFault:
    return ParseFault(reason, shorten(detail, LONGEST_DETAIL))
