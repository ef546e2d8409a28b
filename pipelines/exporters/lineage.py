r"""Where each row of a dataset comes from, in a config of its own beside the training columns.

    load_dataset(folder, "lineage")["train"][0]
    {"id": "9f2c...", "split": "train", "index": 0, "family": "41aa...", "order": "17.0.2",
     "source": "source:documents", "key": "leave.md:120-480",
     "document": "leave.md", "start": 120, "end": 480, "history": "[{\"stage\": ...}]"}

`index` is the row's place in its split, so that `data[split][index]` is the row. The training
columns hold no ids: trainers take every column they are given.
"""

from collections.abc import Mapping

from pipelines.exporters.columns import TEXT, Type
from pipelines.rows import JSON, Row, canonical

_NUMBER = Type("int64")

LINEAGE: Mapping[str, Type] = {
    "id": TEXT,
    "split": TEXT,
    "index": _NUMBER,
    "family": TEXT,
    "order": TEXT,
    "source": TEXT,
    "key": TEXT,
    "document": TEXT,
    "start": _NUMBER,
    "end": _NUMBER,
    "history": TEXT,
}


def lineage(row: Row, split: str, index: int) -> dict[str, JSON]:
    """The lineage of the row that stands at `index`, counted from 0, of `split`.

    The source's name and the row's key in it are those of the first event of its history. Document
    and span, in characters, are its columns of these names, as document sources give them.
    """
    origin = row.history[0] if row.history else {}
    return {
        "id": row.id,
        "split": split,
        "index": index,
        "family": row.family,
        "order": ".".join(map(str, row.order)),
        "source": _text(origin.get("stage")),
        "key": _text(origin.get("key")),
        "document": _text(row.data.get("document")),
        "start": _number(row.data.get("start")),
        "end": _number(row.data.get("end")),
        "history": canonical(row.history),
    }


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: JSON) -> int | None:
    """A place in a text; a column of that name may hold anything else, which is left out."""
    return value if type(value) is int and 0 <= value < 2**63 else None
