"""The trials of `tune` as an SVG: the front or the course of the search, and what mattered.

Path("tune.svg").write_text(plot(tuned, found))     # two panels side by side, no script, no font
"""

from collections.abc import Iterator, Sequence
from html import escape

from pipelines.lab.tuning import Found
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_study import Trial

WIDTH, HEIGHT = 860, 360
_LEFT, _TOP, _SIDE, _BOTTOM = 64, 44, 400, 300  # the first panel
_BARS = 500  # where the second one begins

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #3b3f46; font-variant-numeric: tabular-nums }
.title { font-weight: 600; fill: #16181d } .axis { stroke: #c9ccd2; fill: none }
.trial { fill: #9aa3b2 } .front { fill: #1f5fbf } .best { fill: #b4441c }
.job { fill: none; stroke: #16181d; stroke-width: 1.5 } .bar { fill: #1f5fbf }
.course { fill: none; stroke: #1f5fbf; stroke-width: 1.5 } .page { fill: #ffffff }
"""


def plot(tuned: Tuned, found: Found) -> str:
    """The picture; the same study gives the same bytes."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{len(found.trials)} trials of tune"><style>{_STYLE}</style>',
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        *_panel(tuned, found),
        *_importance(found),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(tuned: Tuned, found: Found) -> Iterator[str]:
    """Two objectives against each other, or the only one from trial to trial."""
    aims = tuned.space.objectives
    complete = [t for t in found.trials if t.result and t.result.ended == "complete"]
    name = aims[0].measure
    if len(aims) > 1:
        points = [(_value(t, aims[1].measure), _value(t, name)) for t in complete]
        job = (found.baseline[aims[1].measure], found.baseline[name])
        across, title = aims[1].measure, f"{name} against {aims[1].measure}"
    else:
        points = [(float(t.number), _value(t, name)) for t in complete]
        job = (0.0, found.baseline[name])
        across, title = "trial", f"{name} from trial to trial"
    yield f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>'
    own = [(job[0], job[1])] if job[0] is not None and job[1] is not None else []
    known = [*points, *own]
    if not known:
        yield f'<text x="{_LEFT}" y="60">no trial is complete</text>'
        return
    xs, ys = (
        _Scale([x for x, _ in known], _LEFT, _SIDE),
        _Scale([y for _, y in known], _BOTTOM, _TOP),
    )
    yield from _axes(xs, ys, across, name)
    if len(aims) == 1:
        yield _course(points, xs, ys, aims[0].sign)
    front = {trial.number for trial in found.front}
    for trial, (x, y) in zip(complete, points, strict=True):
        best = found.best is not None and trial.number == found.best.number
        look = "best" if best else "front" if trial.number in front else "trial"
        yield (
            f'<circle class="{look}" cx="{xs(x):.1f}" cy="{ys(y):.1f}" r="{5 if best else 4}">'
            f"<title>trial {trial.number}: {y:.4f}</title></circle>"
        )
        if best:
            yield f'<text x="{xs(x) + 8:.1f}" y="{ys(y) - 8:.1f}">trial {trial.number}</text>'
    for x, y in ((xs(left), ys(up)) for left, up in own):
        yield f'<circle class="job" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        yield f'<text x="{x + 9:.1f}" y="{y + 4:.1f}">job</text>'


def _importance(found: Found) -> Iterator[str]:
    yield f'<text class="title" x="{_BARS}" y="24">What sets the best trials apart</text>'
    if not found.importance:
        yield f'<text x="{_BARS}" y="60">not known: too few trials that differ</text>'
    for place, (key, share) in enumerate(list(found.importance.items())[:8]):
        y = 52 + 38 * place
        yield f'<text x="{_BARS}" y="{y}">{escape(key)}</text>'
        yield f'<rect class="bar" x="{_BARS}" y="{y + 6}" width="{260 * share:.1f}" height="10"/>'
        yield f'<text x="{_BARS + 266 * share + 8:.1f}" y="{y + 15}">{share:.0%}</text>'


def _course(points: Sequence[tuple[float, float]], xs: "_Scale", ys: "_Scale", sign: int) -> str:
    """The best value so far, as steps."""
    best = float("-inf")
    path: list[str] = []
    for x, y in points:
        if sign * y > best:
            if path:
                path.append(f"H {xs(x):.1f}")
            best = sign * y
            path.append(f"{'V' if path else f'M {xs(x):.1f}'} {ys(y):.1f}")
    if path:
        path.append(f"H {xs(points[-1][0]):.1f}")
    return f'<path class="course" d="{" ".join(path)}"/>'


def _axes(xs: "_Scale", ys: "_Scale", across: str, up: str) -> Iterator[str]:
    yield f'<path class="axis" d="M {_LEFT} {_TOP} V {_BOTTOM} H {_SIDE}"/>'
    for value in (ys.low, ys.high):
        y = ys(value) + 4
        yield f'<text x="{_LEFT - 8}" y="{y:.1f}" text-anchor="end">{_number(value)}</text>'
    for value in (xs.low, xs.high):
        x = xs(value)
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{_number(value)}</text>'
    middle = (_LEFT + _SIDE) / 2
    yield f'<text x="{middle}" y="{_BOTTOM + 36}" text-anchor="middle">{escape(across)}</text>'
    yield f'<text x="{_LEFT - 8}" y="{_TOP - 8}">{escape(up)}</text>'


class _Scale:
    """Values to places; a single value lies in the middle."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = min(values), max(values)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        if self.low == self.high:
            return (self._start + self._end) / 2
        share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)


def _value(trial: Trial, measure: str) -> float:
    found = trial.result.measures.get(measure) if trial.result else None
    return found if found is not None else 0.0


def _number(value: float) -> str:
    return f"{value:.4g}"
