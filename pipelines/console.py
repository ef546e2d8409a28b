"""What the command line shows: progress, funnel, rows. Data goes to stdout, the rest to stderr."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from types import FrameType
from typing import Any, NamedTuple, Never

from tqdm import tqdm

from pipelines.calling import Caller
from pipelines.rows import JSON
from pipelines.runner import Watch
from prompts.errors import TextmillError

HEAD, STAGE, GOOD, BAD, NOTE = "bold", "bold cyan", "green", "red", "dim"
"""Styles of lines on a terminal."""

_LABEL = 8  # characters that labels are padded to; longer ones stand out
_SHOWN = 400  # characters of one value that are shown
# What a terminal obeys or a reader cannot see: control characters but tab and line feed, separators
# of lines and paragraphs, marks that turn the writing of what follows, surrogates. Joiners of emoji
# and of Indic and Arabic letters, and spaces of all widths, are text.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def say(text: str) -> None:
    """A message for the user, on stderr."""
    tqdm.write(plain(text), file=sys.stderr)


def show(text: str) -> None:
    """A result, on stdout, without what a terminal would obey."""
    _write(plain(text) + "\n")


def show_json(value: JSON) -> None:
    """A result as one line of JSON on stdout; what a terminal would obey is escaped, not lost."""
    text = json.dumps(value, ensure_ascii=False)
    _write(_OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n")


def show_error(error: TextmillError) -> None:
    """An error, as its one line on stderr."""
    sys.stderr.write(f"error: {plain(str(error))}\n")


def plain(text: str) -> str:
    """`text` with U+FFFD for every character that a terminal would obey."""
    return _OBEYED.sub("\ufffd", text)


class Line(NamedTuple):
    """One line of what is shown; its style says nothing that the text does not."""

    text: str
    style: str = ""


def labelled(label: str, text: str, style: str = "") -> Iterator[Line]:
    """A label and its text behind a bar, so that no text can be taken for a line of ours."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
        yield Line(f"    {label if number == 0 else '':<{_LABEL}} | {line}", style)


def beside(text: str, style: str = "") -> Line:
    """A remark of ours, under the texts of `labelled`."""
    return Line(f"{'':{_LABEL + 5}}{text}", style)


def show_lines(lines: Sequence[Line]) -> None:
    """Colours on a terminal that wants them, the same text everywhere; lines are never cut."""
    from rich.console import Console
    from rich.text import Text

    shown = StringIO()
    console = Console(
        file=shown, force_terminal=sys.stdout.isatty(), highlight=False, soft_wrap=True
    )
    for line in lines:
        console.print(Text(plain(line.text).expandtabs(4), style=line.style))
    _write(shown.getvalue())


def leave_quietly() -> Never:
    """End the process because the reader of its output has: there is nobody to tell anything."""
    # What is left in the buffer must not fail once more when Python closes it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        leave_quietly()


class Signals:
    """Turns the first Ctrl-C or SIGTERM into a request to stop, the second into the end.

    Attributes:
        received: The signal's number, 0 as long as there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)  # all that counts is on disk already
        self.received = number
        say("stopping after this batch; press again to stop at once")


class Progress(Watch):
    """The progress bar: accepted of wanted rows, rejections, stage, tokens per second, time left.

    Args:
        signals: Asked whether the user wants to stop.
        hidden: Show no bar; messages stay.
    """

    def __init__(self, signals: Signals, *, hidden: bool) -> None:
        self._signals = signals
        self._hidden = hidden
        self._bar: tqdm[Any] | None = None
        self._figures: dict[str, str] = {}

    def on_start(self, wanted: int | None, accepted: int, cut: int) -> None:
        """Show the bar."""
        if accepted or cut:
            torn = f"; {cut} bytes of an unfinished block were cut off" if cut else ""
            say(f"going on after {accepted} rows{torn}")
        self._bar = tqdm(
            total=wanted,
            initial=accepted,
            unit="row",
            file=sys.stderr,
            disable=True if self._hidden else None,  # None: only on a terminal
            dynamic_ncols=True,
        )

    def on_stage(self, stage: str) -> None:
        """Name the stage at work."""
        if self._bar is not None:
            self._bar.set_description_str(stage, refresh=True)

    def on_batch(self, caller: Caller) -> None:
        """Show the speed of the models."""
        meter = caller.meter
        if meter.seconds > 0:
            self._figures["tokens/s"] = f"{meter.tokens / meter.seconds:.0f}"
        if meter.known:
            self._figures["ledger"] = str(meter.known)
        self._refresh()

    def on_block(self, accepted: int, rejected: int) -> None:
        """Move the bar."""
        self._figures["rejected"] = str(rejected)
        if self._bar is not None:
            self._bar.update(accepted - self._bar.n)
        self._refresh()

    def stop_requested(self) -> bool:
        """Whether a signal came in."""
        return self._signals.received != 0

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.set_description_str("")
            self._bar.close()

    def _refresh(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix(self._figures)


def funnel_lines(counts: Sequence[Mapping[str, JSON]]) -> list[str]:
    """The funnel as a table: one line a stage, rejections itemised by reason."""
    rows: list[tuple[str, ...]] = [("stage", "in", "created", "out", "rejected")]
    for entry in counts:
        reasons = ", ".join(
            f"{reason} {count}"
            for reason, count in sorted(entry["rejected"].items(), key=lambda r: (-r[1], r[0]))
        )
        total = sum(entry["rejected"].values())
        rejected = f"{total} ({reasons})" if total else "0"
        figures = [str(entry[key]) for key in ("in", "created", "out")]
        rows.append((str(entry["stage"]), *figures, rejected))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{row[c]:>{widths[c]}}" for c in (1, 2, 3))
        + f"  {row[4]}"
        for row in rows
    ]


def value_text(value: JSON) -> str:
    """A column's value on one line, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(plain(text).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def detail_text(detail: Mapping[str, JSON]) -> str:
    """The evidence of a rejection in brackets, or nothing where there is none."""
    text = ", ".join(f"{key}: {value_text(value)}" for key, value in detail.items())
    return f" ({text})" if text else ""


def row_lines(record: Mapping[str, JSON], *, history: bool = False) -> list[str]:
    """A row, or a rejected one, as it is shown to a person."""
    head = f"{record['order']}  {record['id']}"
    if "reason" in record:
        head += f"  rejected by {record['stage']}: {record['reason']}"
        head += detail_text(record["detail"])
    lines = [head]
    lines += [f"    {column}: {value_text(value)}" for column, value in record["data"].items()]
    if history:
        lines += [f"    * {value_text(event)}" for event in record["history"]]
    return lines
