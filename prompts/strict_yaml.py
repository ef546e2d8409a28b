"""The one YAML reader, for prompt files and jobs: plain data with line numbers, or an error.

document = read_yaml("stages: [{kind: dedup, threshold: 0.8}]", file="job.yaml")
document.data                               # {"stages": [{"kind": "dedup", "threshold": 0.8}]}
document.line("stages.0.threshold")         # 1
read_yaml("lang: no", file="job.yaml")
# error: job.yaml:1: lang: 'no' is false to YAML 1.1 and text to YAML 1.2; fix: quote it: 'no'

It reads the part of YAML on which all readers agree: no tags, anchors or aliases, one document of
at most 1 MiB, keys that are text and stand once, and no plain scalar that YAML 1.1 and 1.2 read
differently or whose text would be lost, such as `1.10`. It works on the events of PyYAML's parser,
which come one at a time and carry marks, so it stops at the depth cap and never recurses further.
"""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from prompts.errors import UsageError, shorten
from prompts.yaml_scalars import Ambiguous, read_plain

MAX_BYTES = 1 << 20
MAX_DEPTH = 50

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text holds, and where.

    Attributes:
        file: The name shown in errors.
        text: The text as it was given.
        data: Dicts with text keys, lists, and str, int, float, bool or None.
        lines: Line, counted from 1, of every dotted key.
        blocks: Of every literal block (`|`), the line that its text begins on.
    """

    file: str
    text: str
    data: Any
    lines: Mapping[str, int] = field(repr=False)
    blocks: Mapping[str, int] = field(repr=False)

    def line(self, key: str) -> int | None:
        """Line of a dotted key, or of the nearest enclosing key there is; None for neither."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key) if key else None

    def line_within(self, key: str, number: int) -> int | None:
        """Line of the file that holds line `number`, from 1, of the text at `key`.

        Exact for a literal block. The lines of a folded or quoted text are not those of the file,
        so for these it is the line of the key.
        """
        if key in self.blocks:
            return self.blocks[key] + number - 1
        return self.line(key)

    def error(self, problem: str, *, fix: str = "", key: str = "") -> UsageError:
        """A `UsageError` about `key` with the file and the line filled in."""
        return UsageError(problem, fix=fix, file=self.file, line=self.line(key), key=key)

    def locate(self, error: UsageError) -> UsageError:
        """`error`, whose key is a key of this document, with the file and the line filled in."""
        return self.error(error.problem, fix=error.fix, key=error.key)

    def mapping(self, what: str) -> dict[str, Any]:
        """The data as a mapping; `what` says what is read, such as "a job".

        Raises:
            UsageError: It is a list or a scalar.
        """
        if not isinstance(self.data, dict):
            found = "a list" if isinstance(self.data, list) else f"the value {self.data!r}"
            problem = f"{what} is a mapping, found {found}"
            raise UsageError(problem, fix="write 'key: value' lines", file=self.file, line=1)
        return self.data


def read_yaml_file(path: Path, *, shown: str = "") -> Document:
    """The document in a file, named `shown` in errors.

    Raises:
        UsageError: There is no such regular file, it cannot be read, or `read_yaml` refuses it.
    """
    name = shown or str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for a writer
            raise UsageError("not a file", fix="give the path of a YAML file", file=name)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise UsageError("no such file", fix="check the path", file=name) from exc
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        problem = f"cannot be read: {why.lower()}"
        raise UsageError(problem, fix="check the path and its rights", file=name) from exc
    return read_yaml(raw, file=name)


def read_yaml(text: str | bytes, *, file: str | Path) -> Document:
    """The document that `text` holds.

    Raises:
        UsageError: With file and line, and the key where there is one: more than 1 MiB, not UTF-8,
            not one document, bad syntax, or anything the module's docstring excludes.
    """
    name = str(file)
    decoded = _decode(text, name)
    reader = _Reader(decoded, name)
    try:
        data = reader.document()
    except yaml.MarkedYAMLError as exc:
        raise _syntax_error(exc, name) from exc
    except (ValueError, OverflowError) as exc:  # PyYAML's chr() of an escape such as "\UFFFFFFFF"
        line = reader.events.get_mark().line + 1
        problem, fix = "an escape is not a character", "write the character itself"
        raise UsageError(problem, fix=fix, file=name, line=line) from exc
    return Document(name, decoded, data, reader.lines, reader.blocks)


_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]"
)


def _decode(text: str | bytes, file: str) -> str:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise UsageError("larger than 1 MiB", fix="split the file", file=file)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            problem = f"byte 0x{exc.object[exc.start]:02x} is not UTF-8"
            raise UsageError(problem, fix="save the file as UTF-8", file=file, line=line) from exc
    found = _FORBIDDEN.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        code = ord(found.group())
        problem = "a NUL character" if code == 0 else f"the character U+{code:04X}"
        raise UsageError(problem, fix="remove it", file=file, line=line)
    return text


class _Reader:
    """Builds plain data from the parser's events, keeping the line of each key."""

    def __init__(self, text: str, file: str) -> None:
        self.events: Any = yaml.SafeLoader(text)  # partly untyped
        self.file = file
        self.lines: dict[str, int] = {}
        self.blocks: dict[str, int] = {}

    def document(self) -> Any:
        self.events.get_event()  # the start of the stream
        if self.events.check_event(yaml.StreamEndEvent):
            fix = "write at least one 'key: value' line"
            raise UsageError("the file is empty", fix=fix, file=self.file)
        self.events.get_event()
        data = self.value((), 0)
        self.events.get_event()
        if not self.events.check_event(yaml.StreamEndEvent):
            event = self.events.peek_event()
            raise self.error("a second document ('---')", event, (), fix="keep one document")
        return data

    def error(self, problem: str, event: Any, key: Key, *, fix: str = "") -> UsageError:
        line = event.start_mark.line + 1
        shown = _dotted(tuple(shorten(str(part)) for part in key))
        return UsageError(problem, fix=fix, file=self.file, line=line, key=shown)

    def value(self, key: Key, depth: int) -> Any:
        event = self.events.get_event()
        self._refuse_extras(event, key)
        if key:
            self.lines.setdefault(_dotted(key), event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, key)
        if depth >= MAX_DEPTH:
            place = key[:4]  # the whole key would be a line of its own
            problem = f"nested more than {MAX_DEPTH} deep"
            raise self.error(problem, event, place, fix="write it flatter, or quote what is text")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key, depth)
        return self._mapping(key, depth)

    def _refuse_extras(self, event: Any, key: Key) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self.error(
                f"alias '*{shorten(str(event.anchor))}'", event, key, fix="write the value out"
            )
        if event.anchor is not None:
            raise self.error(f"anchor '&{shorten(str(event.anchor))}'", event, key, fix="remove it")
        if event.tag is not None:
            tag = shorten(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise self.error(f"tag '{tag}'", event, key, fix="remove it; quote what is text")

    def _sequence(self, key: Key, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self.events.check_event(yaml.SequenceEndEvent):
            items.append(self.value((*key, len(items)), depth + 1))
        self.events.get_event()
        return items

    def _mapping(self, key: Key, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        while not self.events.check_event(yaml.MappingEndEvent):
            event = self.events.get_event()
            name = self._name(event, key)
            if name in found:
                problem = f"duplicate key '{shorten(name)}' (first on line {first[name]})"
                raise self.error(problem, event, (*key, name), fix="remove one of them")
            first[name] = event.start_mark.line + 1
            self.lines[_dotted((*key, name))] = first[name]
            found[name] = self.value((*key, name), depth + 1)
        self.events.get_event()
        return found

    def _name(self, event: Any, key: Key) -> str:
        self._refuse_extras(event, key)
        if not isinstance(event, yaml.ScalarEvent):
            what = "a list" if isinstance(event, yaml.SequenceStartEvent) else "a mapping"
            fix = "quote a text that begins with '{' or '['"  # content: {{ context }}
            raise self.error(f"a key is text, found {what}", event, key, fix=fix)
        name = str(event.value)
        if name in {"y", "n"} and event.implicit[0]:
            return name  # readers all take these names for text, whatever YAML 1.1 says
        if name == "<<" and event.implicit[0]:
            raise self.error("merge key '<<'", event, key, fix="write the keys out")
        value = self._scalar(event, (*key, name))
        if not isinstance(value, str):
            problem = f"key {shorten(name) or 'null'} is not text"
            raise self.error(problem, event, key, fix=_quote(name))
        return value

    def _scalar(self, event: Any, key: Key) -> Any:
        text = str(event.value)
        if not event.implicit[0]:
            bad = re.search("[\x00\ud800-\udfff]", text)
            if bad:
                problem = f"the escape of U+{ord(bad.group()):04X}, which is no text"
                raise self.error(problem, event, key, fix="write the character itself, or none")
            if event.style == "|":
                self.blocks[_dotted(key)] = event.start_mark.line + 2
            return text
        try:
            return read_plain(text)
        except Ambiguous as exc:
            fix = _quote(text) + (f", or {exc.other}" if exc.other else "")
            raise self.error(exc.problem, event, key, fix=fix) from exc


def _quote(text: str) -> str:
    return f"quote it: '{text}'" if shorten(text) == text else "quote it"


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))


_SYNTAX_FIXES = {
    "mapping values are not allowed here": "quote a text that holds ': '",
    "could not find expected ':'": "write 'key: value'",
    "cannot start any token": "quote a text that begins with this character",
    "found unexpected end of stream": "close the quote or bracket",
    "found unexpected document separator": "close the quote or bracket",
    "expected <block end>": "check the indentation",
    "expected ',' or": "close the bracket, and quote a text that holds ',', '?' or a bracket",
}


def _syntax_error(exc: yaml.MarkedYAMLError, file: str) -> UsageError:
    mark = exc.problem_mark or exc.context_mark
    line = None if mark is None else mark.line + 1
    problem = exc.problem or "not YAML"
    if "'\\t' that cannot start" in problem:
        fix = "indent with spaces"
        return UsageError("a tab indents this line", fix=fix, file=file, line=line)
    fix = next((fix for sign, fix in _SYNTAX_FIXES.items() if sign in problem), "")
    if exc.context and exc.context_mark is not None and exc.context_mark.line + 1 != line:
        problem += f" ({exc.context} on line {exc.context_mark.line + 1})"
    return UsageError(f"not YAML: {problem}", fix=fix, file=file, line=line)
