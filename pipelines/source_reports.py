"""What sources say of a finished run, such as what became of each file.

source_reports(job.sources, folder)
# {"source:documents": {"files": [{"file": "leave.pdf", "pages": 12, "passages": 31, "rows": 28,
#                                  "rejected": {"too_short": 3}}]}}
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.folder import RunFolder
from pipelines.rows import JSON, Row
from pipelines.sources import Source
from pipelines.supply import source_names

MOST_FILES = 20
"""Files that are shown one by one; the rest is summed up."""


def source_reports(sources: tuple[Source, ...], folder: RunFolder) -> dict[str, JSON]:
    """What sources say of the rows in `folder`, by name; those that say nothing are left out."""
    said = {
        name: source.report(_rows(name, folder), _rejected(name, folder))
        for name, source in zip(source_names(sources), sources, strict=True)
        if type(source).report is not Source.report
    }
    return {name: report for name, report in said.items() if report}


def file_lines(reports: Mapping[str, Any]) -> list[str]:
    """A table of files: the first that gave rows, what became of each, and the rest in one line.

    Files that gave no row come first, so that none is overlooked.
    """
    entries = [entry for said in reports.values() for entry in said.get("files", ())]
    if not entries:
        return []
    entries.sort(key=lambda entry: entry["rows"] > 0)
    cells: list[tuple[str, ...]] = [("file", "pages", "passages", "rows", "rejected")]
    cells += [_cells(entry) for entry in entries[:MOST_FILES]]
    if rest := entries[MOST_FILES:]:
        cells.append(_cells(_summed(rest)))
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(row[c].rjust(widths[c]) for c in (1, 2, 3)), row[4]])
        for row in cells
    ]


def _rows(name: str, folder: RunFolder) -> Iterator[Row]:
    return (row for row in folder.rows() if row.history and row.history[0].get("stage") == name)


def _rejected(name: str, folder: RunFolder) -> Iterator[dict[str, JSON]]:
    for record in folder.rejected():
        first = record["history"][0] if record["history"] else record
        if first.get("stage") == name:
            yield record


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    rejected = ", ".join(
        f"{reason} {count}"
        for reason, count in sorted(entry["rejected"].items(), key=lambda r: (-r[1], r[0]))
    )
    pages = "" if entry["pages"] is None else str(entry["pages"])
    return entry["file"], pages, str(entry["passages"]), str(entry["rows"]), rejected or "0"


def _summed(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for entry in entries:
        rejected.update(entry["rejected"])
    return {
        "file": f"and {len(entries)} more",
        "pages": sum(entry["pages"] or 0 for entry in entries) or None,
        "passages": sum(entry["passages"] for entry in entries),
        "rows": sum(entry["rows"] for entry in entries),
        "rejected": rejected,
    }
