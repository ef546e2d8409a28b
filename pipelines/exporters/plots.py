"""The pictures of a dataset card, as PNG files whose bytes depend on what they show alone.

    draw_stages(folder / "stages.png", run.manifest["stages"])
    draw_lengths(folder / "lengths.png", figures)
    draw_openings(folder / "openings.png", figures)

They are drawn by matplotlib's Agg, with the font that comes with it and without a date. The Hub's
cards show no drawn text diagrams, but they show these.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.exporters.profile import Figures
from pipelines.rows import JSON

KEPT, LOST, INK, FAINT = "#2f6f9f", "#d98a3d", "#24292f", "#8a9199"
MOST = 4  # columns that are shown; a card is no atlas
_WIDTH = 8.0  # inches
_STYLE = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "savefig.dpi": 144,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
}


def draw_stages(path: Path, stages: Sequence[Mapping[str, JSON]]) -> None:
    """A bar a stage: the rows it let through, and those it rejected."""
    with _figure(path, 0.7 + 0.36 * len(stages)) as figure:
        axes = figure.add_subplot()
        places = range(len(stages))
        kept = [entry["out"] for entry in stages]
        lost = [sum(entry["rejected"].values()) for entry in stages]
        axes.barh(places, kept, color=KEPT, height=0.62, label="passed on")
        axes.barh(places, lost, left=kept, color=LOST, height=0.62, label="rejected")
        room = max([a + b for a, b in zip(kept, lost, strict=True)], default=0) or 1
        for place, out, rejected in zip(places, kept, lost, strict=True):
            said = f"{out:,}" + (f"  (rejected {rejected:,})" if rejected else "")
            axes.text(out + rejected + room * 0.01, place, said, va="center", color=INK)
        axes.set_yticks(places, [_short(entry["stage"]) for entry in stages])
        axes.set_xlim(0, room * 1.28)
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize=8)


def draw_lengths(path: Path, figures: Mapping[str, Figures]) -> None:
    """A histogram of words for each column, with median and the range of nine tenths."""
    shown = list(figures.items())[:MOST]
    with _figure(path, 0.3 + 1.35 * len(shown)) as figure:
        for axes, (name, each) in zip(_rows(figure, len(shown)), shown, strict=True):
            last = max(each.percentile(99), 1)
            step = max(1, -(-last // 40))
            counts = [0] * (last // step + 1)
            for length, number in each.lengths.items():
                counts[min(length, last) // step] += number
            starts = [index * step - 0.5 for index in range(len(counts))]
            axes.bar(starts, counts, width=step * 0.92, align="edge", color=KEPT)
            low, middle, high = (each.percentile(percent) for percent in (5, 50, 95))
            axes.axvline(middle, color=LOST, linewidth=1.4)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
            title = f"{_short(name)}: median {middle} words, nine tenths have {low} to {high}"
            axes.set_title(title, loc="left", fontsize=9, color=INK)
            axes.tick_params(axis="y", labelsize=7, colors=FAINT)
            axes.margins(x=0.01)
        axes.set_xlabel("words in a text (the longest hundredth is drawn into the last bar)")


def draw_openings(path: Path, figures: Mapping[str, Figures]) -> None:
    """The ten most frequent first two words of each column, as a share of its texts."""
    shown = list(figures.items())[:MOST]
    tall = sum(0.55 + 0.2 * len(each.openings) for _, each in shown)
    most = max(100 * each.openings[0][1] / each.sampled for _, each in shown)
    with _figure(path, 0.3 + tall) as figure:
        ratios = [2 + len(each.openings) for _, each in shown]
        for axes, (name, each) in zip(_rows(figure, len(shown), ratios), shown, strict=True):
            shares = [100 * number / each.sampled for _, number in each.openings]
            axes.barh(range(len(shares)), shares, color=KEPT, height=0.7)
            for place, share in enumerate(shares):
                axes.text(share, place, f" {share:.1f} %", va="center", fontsize=7.5, color=INK)
            words = [_short(opening) for opening, _ in each.openings]
            axes.set_yticks(range(len(words)), words, fontsize=8)
            axes.set_xlim(0, most * 1.1)  # the same for all columns
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            axes.invert_yaxis()
            axes.set_title(f"{_short(name)}: how texts begin", loc="left", fontsize=9, color=INK)


def _rows(figure: Any, count: int, ratios: Sequence[float] | None = None) -> list[Any]:
    found = figure.subplots(count, 1, squeeze=False, height_ratios=ratios)
    return [row[0] for row in found]


@contextmanager
def _figure(path: Path, height: float) -> Iterator[Any]:
    """A figure in the project's style, whatever the user's own settings; saved at the end."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(exist_ok=True)
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, metadata={"Software": None})


def _short(text: object) -> str:
    """A label that fits beside a picture, without what cannot be drawn."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(str(text).split()))
    return line if len(line) <= 28 else f"{line[:27]}…"
