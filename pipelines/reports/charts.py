"""Charts as SVG that grows with the page: places in percent, letters in pixels.

bar([("kept", 120), ("lost", 8)], whole=200, said="120 kept, 8 rejected")
histogram({12: 3, 13: 9}, marks=[("median 13", 13)], said="Words of 'answer'")
points([(0.2, 0.7)], [0], said="Map of the texts")

Colours are classes of the page's style, so that a chart is right in light and in dark; no meaning
is in a colour alone: rejected parts are hatched, groups of points have shapes of their own.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.reports.markup import Markup, tag

BINS = 40
"""The most bars of a histogram."""

SHAPES = 8
"""Shapes, each with a colour, that groups of points have."""

FEW = 200
"""Points up to which a map draws them larger."""

_PLOT = 96  # pixels of the bars' height; the axis is below
_HEIGHT = 128
_ROOM_ABOVE = 24  # pixels above the highest bar, for labels
_TICKS = 5
_MAP_MARGIN = 3.0  # percent at each side of a map
_GAP = 0.0015  # of a plot's width, between bars of time
_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))

_GLYPHS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6h7.2v7.2h-7.2z",
    "M0-5L4.8 3.6h-9.6z",
    "M0-5.2L4.4 0L0 5.2L-4.4 0z",
    "M-1.5-4.8h3v3.3h3.3v3h-3.3v3.3h-3v-3.3h-3.3v-3h3.3z",
    "M0 5L4.8-3.6h-9.6z",
    "M-4.6-2.6h9.2v5.2h-9.2z",
    "M-2.6-4.6h5.2v9.2h-5.2z",
)


class Mark(NamedTuple):
    """A value that a line in a histogram stands for."""

    said: str
    value: float


class Span(NamedTuple):
    """A time of so many seconds in which something went at a rate."""

    seconds: float
    rate: float
    said: str


def definitions() -> Markup:
    """What the charts of a page share: the hatching, and the shapes of points."""
    hatch = tag(
        "pattern",
        tag("rect", width=6, height=6, class_="lost"),
        tag("line", x1=0, y1=0, x2=0, y2=6, class_="hatch"),
        id="hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    shapes = [
        tag("g", tag("path", d=glyph), id=f"shape-{place}") for place, glyph in enumerate(_GLYPHS)
    ]
    inside = tag("defs", hatch, shapes)
    return tag("svg", inside, class_="definitions", aria_hidden="true", width=0, height=0)


def bar(
    parts: Sequence[tuple[str, float]], whole: float, said: str, mark: float | None = None
) -> Markup:
    """A bar of parts behind each other.

    Args:
        parts: Class and size of each; the class `lost` is hatched.
        whole: What the full width stands for.
        said: What it shows, for those who do not see it.
        mark: A value that a line stands for.
    """
    drawn: list[Markup] = []
    start = 0.0
    for kind, size in parts:
        share = 100 * size / whole if whole else 0.0
        if share:
            fill = "url(#hatch)" if kind == "lost" else None
            width = _percent(max(share, 0.3))
            drawn.append(
                tag("rect", x=_percent(start), width=width, height=12, class_=kind, fill=fill)
            )
        start += share
    if mark is not None and whole:
        place = _percent(100 * mark / whole)
        drawn.append(tag("line", x1=place, x2=place, y1=-3, y2=15, class_="mark"))
    return tag("svg", drawn, class_="bar", height=12, role="img", aria_label=said)


def histogram(counts: Mapping[int, int], marks: Sequence[Mark], said: str) -> Markup:
    """Bars over a scale of whole numbers, the last hundredth of the rows in the last bar.

    Args:
        counts: Value -> rows, with one value at least.
        marks: Lines, labelled above the bars.
        said: What it shows, for those who do not see it.
    """
    top = _reach(counts)
    step = max(1, -(-(top + 1) // BINS))
    bins = [0] * (top // step + 1)
    for value, number in counts.items():
        bins[min(value, top) // step] += number
    room, most = len(bins) * step, max(bins)
    drawn = [
        _column(place, step, room, (_PLOT - _ROOM_ABOVE) * number / most, f"{words}: {number:,}")
        for place, number in enumerate(bins)
        if number
        for words in [_words(place, step, last=place == len(bins) - 1 and top < max(counts))]
    ]
    drawn.append(tag("line", x1="0%", x2="100%", y1=_PLOT, y2=_PLOT, class_="axis"))
    drawn += _ticks(room)
    for mark in marks:
        drawn += _marked(mark, room)
    return tag("svg", drawn, class_="histogram", height=_HEIGHT, role="img", aria_label=said)


def rates(spans: Sequence[Span], said: str) -> Markup:
    """Bars as wide as the time they stand for, one behind the other, over an axis of seconds.

    Args:
        spans: In their order, of more than no time together.
        said: What it shows, for those who do not see it.
    """
    whole, most = sum(span.seconds for span in spans), max(span.rate for span in spans)
    drawn: list[Markup] = []
    start = 0.0
    for span in spans:
        height = (_PLOT - _ROOM_ABOVE) * span.rate / most if most else 0.0
        width = span.seconds / whole
        drawn.append(_box(start, max(0.0, width - _GAP), height, span.said))
        start += width
    drawn.append(tag("line", x1="0%", x2="100%", y1=_PLOT, y2=_PLOT, class_="axis"))
    drawn.append(tag("text", f"{most:,.0f}", x="0%", y=14, class_="said"))
    drawn += _times(whole)
    return tag("svg", drawn, class_="histogram", height=_HEIGHT, role="img", aria_label=said)


def points(
    places: Sequence[tuple[float, float]], groups: Sequence[int], rows: Sequence[int], said: str
) -> Markup:
    """A cloud of points.

    Args:
        places: x and y of each, 0 to 1, y upwards.
        groups: The group of each, which gives it shape and colour.
        rows: The row of each in the page's data, that a click on it opens.
        said: What it shows, for those who do not see it.
    """
    room = 100 - 2 * _MAP_MARGIN
    drawn = [
        tag(
            "use",
            href=f"#shape-{group % SHAPES}",
            x=_percent(_MAP_MARGIN + room * x),
            y=_percent(_MAP_MARGIN + room * (1 - y)),
            class_=f"g{group % SHAPES}",
            data_row=row,
            data_group=group,
        )
        for (x, y), group, row in zip(places, groups, rows, strict=True)
    ]
    kind = "map few" if len(drawn) <= FEW else "map"
    return tag("svg", drawn, class_=kind, role="img", aria_label=said)


def shape(group: int) -> Markup:
    """The shape of a group, for a legend."""
    used = tag("use", href=f"#shape-{group % SHAPES}", x=7, y=7, class_=f"g{group % SHAPES}")
    return tag("svg", used, width=14, height=14, aria_hidden="true", class_="shape")


def _column(place: int, step: int, room: int, height: float, said: str) -> Markup:
    return _box(place * step / room, 0.9 * step / room, height, said)


def _box(start: float, width: float, height: float, said: str) -> Markup:
    """A bar of a plot: start and width as shares of it, its height in pixels."""
    return tag(
        "rect",
        tag("title", said),
        x=_percent(100 * start),
        width=_percent(100 * width),
        y=f"{_PLOT - max(1.0, height):.1f}",
        height=f"{max(1.0, height):.1f}",
        class_="kept",
    )


def _words(place: int, step: int, *, last: bool) -> str:
    """What a bar counts."""
    low = place * step
    if last:
        return f"{low:,} words or more"
    return f"{low:,} words" if step == 1 else f"{low:,} to {low + step - 1:,} words"


def _reach(counts: Mapping[int, int]) -> int:
    """The value that 99 of 100 rows do not exceed."""
    whole, seen = sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= 0.99 * whole:
            return max(1, value)
    return 1


def _ticks(room: int) -> list[Markup]:
    step = next(s * 10**e for e in range(9) for s in (1, 2, 5) if room / (s * 10**e) <= _TICKS)
    return [
        tag(
            "text",
            f"{value:,}",
            x=_percent(100 * value / room),
            y=_PLOT + 18,
            class_="tick",
            text_anchor="start" if value == 0 else "middle",
        )
        for value in range(0, room, step)
        if value < 0.97 * room
    ]


def _times(whole: float) -> list[Markup]:
    """The axis of so many seconds, its end included."""
    unit, name = next((u, n) for u, n in _UNITS if whole >= 2 * u or u == 1)
    room = whole / unit
    step = next(s * 10.0**e for e in range(-3, 9) for s in (1, 2, 5) if room / (s * 10**e) <= 5)
    return [
        tag(
            "text",
            f"{place * step:,.3g} {name}" if place else "0",
            x=_percent(100 * place * step / room),
            y=_PLOT + 18,
            class_="tick",
            text_anchor="middle" if place else "start",
        )
        for place in range(int(0.97 * room / step) + 1)
    ]


def _marked(mark: Mark, room: int) -> list[Markup]:
    share = min(100.0, 100 * (mark.value + 0.45) / room)
    anchor = "end" if share > 70 else "start"
    return [
        tag("line", x1=_percent(share), x2=_percent(share), y1=4, y2=_PLOT, class_="mark"),
        tag(
            "text",
            mark.said,
            x=_percent(share),
            dx=-6 if anchor == "end" else 6,
            y=14,
            class_="said",
            text_anchor=anchor,
        ),
    ]


def _percent(value: float) -> str:
    return f"{value:.2f}%"
