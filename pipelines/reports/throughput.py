"""The section on throughput: rows and tokens over the time that the run was worked on."""

from collections.abc import Sequence

from pipelines.reports.charts import Span, rates
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, percent, table
from pipelines.timing import Timing

BARS = 60
"""Bars at most; longer runs have several blocks in each."""


def throughput(material: Material) -> Markup:
    """Accepted rows a minute and tokens a second, by block, and what the whole took."""
    timings = material.timings
    seconds = sum(timing.seconds for timing in timings)
    if not seconds:
        return tag("p", "The run took less than a thousandth of a second.", class_="note")
    rows, tokens = _spans(timings)
    parts = [
        tag("h3", "Accepted rows a minute"),
        rates(rows, f"Accepted rows a minute over {_duration(seconds)}"),
    ]
    if any(timing.tokens for timing in timings):
        parts += [
            tag("h3", "Tokens a second"),
            rates(tokens, f"Tokens generated a second over {_duration(seconds)}"),
        ]
    note = (
        "By block, in the order of work; a bar is as wide as its time. Time in which the run was "
        "interrupted is left out. The first block of a process opens the models. Tokens are those "
        "of calls that models answered, not of calls that the ledger knew."
    )
    return joined([parts, tag("p", note, class_="note"), _whole(material, seconds)])


def _spans(timings: Sequence[Timing]) -> tuple[list[Span], list[Span]]:
    """Accepted rows a minute and tokens a second of neighbouring blocks together."""
    size = -(-len(timings) // BARS)
    rows, tokens, before = [], [], 0
    for start in range(0, len(timings), size):
        part = timings[start : start + size]
        seconds = sum(timing.seconds for timing in part) or 0.001
        accepted, before = part[-1].accepted - before, part[-1].accepted
        made = sum(timing.tokens for timing in part)
        rate, speed = 60 * accepted / seconds, made / seconds
        name = f"block {start + 1}" if size == 1 else f"blocks {start + 1} to {start + len(part)}"
        rows.append(
            Span(
                seconds,
                rate,
                f"{name}, {_duration(seconds)}: {accepted:,} rows, {rate:,.1f} a minute",
            )
        )
        tokens.append(Span(seconds, speed, f"{name}: {made:,} tokens, {speed:,.1f} a second"))
    return rows, tokens


def _whole(material: Material, seconds: float) -> Markup:
    timings = material.timings
    accepted = int(material.manifest["rows"])
    calls = sum(timing.calls for timing in timings)
    known = sum(timing.known for timing in timings)
    tokens = sum(timing.tokens for timing in timings)
    in_models = sum(timing.model_seconds for timing in timings)
    lines = [
        ("Time", _duration(seconds)),
        ("Accepted rows a minute", f"{60 * accepted / seconds:,.1f}"),
    ]
    if calls:
        lines.append(("Model calls", f"{calls:,}, {known:,} of them from the ledger"))
        lines.append(("Time in models", percent(min(1.0, in_models / seconds))))
    if tokens and in_models:
        lines.append(("Tokens a second of that time", f"{tokens / in_models:,.1f}"))
    return table(("Of the whole run", "Value"), lines)


def _duration(seconds: float) -> str:
    """`41.9 s`, `12 min 5 s` or `3 h 4 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"
