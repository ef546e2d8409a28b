"""What of a run's columns the report puts first, as its job tells.

layout = arrange(job, rows)
layout.columns      # ("context", "document", "question", "answer"): the source's, then the stages'
layout.leads        # ("question", "answer"): what a row is shown by
layout.label        # "label", where rows are exported with one
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.exporters.profile import Figures
from pipelines.rows import Row

_LEADS = 2
_JUDGES = ("judge", "reward")  # kinds of stages that give rows a score
_SHAPED = ("text", "prompt", "completion")  # parts of a format that hold what a row is about


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of columns.

    Attributes:
        columns: All of them, the source's first, then in the order in which stages add them.
        leads: One or two columns that a row is shown by.
        label: The column that holds labels; empty for none.
        score: The column that holds the score of a judge; empty for none.
    """

    columns: tuple[str, ...]
    leads: tuple[str, ...]
    label: str = ""
    score: str = ""


def arrange(job: Mapping[str, Any], rows: Iterable[Row], figures: Mapping[str, Figures]) -> Layout:
    """The layout of a run.

    Args:
        job: The resolved job.
        rows: Its rows, accepted and rejected.
        figures: Of the columns that hold texts.
    """
    present = {name for row in rows for name in row.data}
    added = [stage["adds"] for stage in job["stages"] if isinstance(stage.get("adds"), str)]
    made = [name for name in dict.fromkeys(added) if name in present]
    columns = (*sorted(present - set(made)), *made)
    texts = [name for name in columns if name in figures]
    written = [name for name in texts if name in made]
    leads = _exported(job, texts) or written[-_LEADS:] or texts[-_LEADS:] or list(columns[:1])
    judges = [s.get("adds") for s in job["stages"] if s["kind"] in _JUDGES]
    score = next((name for name in judges if isinstance(name, str) and name in present), "")
    return Layout(columns, tuple(leads), _label(job, present), score)


def _exported(job: Mapping[str, Any], texts: Sequence[str]) -> list[str]:
    """Columns that exports name as the text, or as prompt and completion."""
    for export in job["exports"]:
        columns = export.get("columns")
        if isinstance(columns, Mapping):
            named = [columns[part] for part in _SHAPED if part in columns]
            if named and all(name in texts for name in named):
                return named[:_LEADS]
    return []


def _label(job: Mapping[str, Any], present: set[str]) -> str:
    for export in job["exports"]:
        columns = export.get("columns")
        if isinstance(columns, Mapping) and columns.get("label") in present:
            return str(columns["label"])
    return "label" if "label" in present else ""
