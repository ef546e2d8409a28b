"""The dataset card, `README.md`: what the dataset is and all that is needed to make it again.

    write_card(folder / "README.md", about, run)

    ---
    language: [en]
    configs: [{config_name: default, data_files: [...], default: true}, {config_name: lineage, ...}]
    ---
    # Support questions
    30 rows in 3 splits ...

It holds no times, absolute paths, host or user names, so that the same job gives the same card.
What is left out or shortened says so in its place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.exporters import findings, sections
from pipelines.exporters.about import About
from pipelines.exporters.base import Finished
from pipelines.exporters.layout import DATA, IMAGES, LINEAGE_CONFIG, files_of
from pipelines.exporters.markdown import plain

_SIZES = [
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
]


def write_card(path: Path, about: About, run: Finished) -> None:
    """Write the card of a dataset folder, and the pictures that it shows beside it."""
    if about.images:
        _draw(path.parent / IMAGES, about, run)
    title = about.title or run.manifest["job"]["name"]
    parts = [
        f"---\n{front_matter(about, title)}\n---",
        f"# {plain(title)}",
        sections.summary(about, run),
        findings.intended_use(about, run),
        sections.how_it_was_made(run),
        sections.counts(about, run),
        findings.figures(about),
        findings.contamination(run),
        sections.reports(run),
        sections.splits(about),
        sections.columns(about),
        sections.reproduce(run),
        sections.license_note(about, run),
        sections.limits(run),
    ]
    path.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8", newline="\n")


def _draw(folder: Path, about: About, run: Finished) -> None:
    from pipelines.exporters import plots

    plots.draw_stages(folder / "stages.png", run.manifest["stages"])
    if about.figures:
        plots.draw_lengths(folder / "lengths.png", about.figures)
        plots.draw_openings(folder / "openings.png", about.figures)


def front_matter(about: About, title: str) -> str:
    """The YAML at the head of the card, which the Hub and `load_dataset` read."""
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        language=list(about.language) or None,
        license=about.license or None,
        pretty_name=title,
        size_categories=[size_category(sum(about.rows.values()))],
        task_categories=list(about.tasks) or None,
        tags=["synthetic", "textmill"],
        configs=[
            {"config_name": "default", "data_files": _files(DATA, about.files), "default": True},
            {"config_name": LINEAGE_CONFIG, "data_files": _files(LINEAGE_CONFIG, about.files)},
        ],
    )
    return str(data.to_yaml()).strip()


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((word for below, word in _SIZES if rows < below), "n>1T")


def _files(folder: str, splits: Sequence[str]) -> list[dict[str, Any]]:
    return [{"split": split, "path": files_of(folder, split)} for split in splits]
