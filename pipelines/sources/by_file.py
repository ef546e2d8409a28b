"""What became of each file of a source: pages, passages, rows, and why others are not there.

by_file(rows, rejected)["files"][0]
# {"file": "leave.pdf", "pages": 12, "passages": 31, "rows": 28, "rejected": {"too_short": 3}}
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.rows import JSON, Row


@dataclass(slots=True)
class _Account:
    """One file; `passages` holds the beginnings of the ids of the source rows that were seen."""

    pages: JSON = None
    passages: set[int] = field(default_factory=set)
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def by_file(rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]) -> dict[str, JSON]:
    """One entry a file, by name; a file that could not be read has its reason.

    Args:
        rows: Accepted rows of the source.
        rejected: Its rejected rows and what it could not read, as in `rejected.jsonl`.

    Returns:
        `files`; an entry's `pages` is null where the format has none, or the rows no longer say.
    """
    files: dict[str, _Account] = {}
    for row in rows:
        account = files.setdefault(str(row.history[0].get("key", "")), _Account())
        account.rows += 1
        _note(account, row.family, row.data)
    unread: list[tuple[str, str]] = []
    for record in rejected:
        if not record["history"]:
            unread.append((record["data"]["key"], record["reason"]))
            continue
        account = files.setdefault(str(record["history"][0].get("key", "")), _Account())
        account.rejected[record["reason"]] += 1
        _note(account, record["family"], record["data"])
    for key, reason in unread:
        whole = key.rpartition("#")[0]  # "leave.pdf#page 4"
        name = whole if whole in files else key
        files.setdefault(name, _Account()).rejected[reason] += 1
    return {"files": [_entry(name, files[name]) for name in sorted(files)]} if files else {}


def _note(account: _Account, family: str, data: Mapping[str, JSON]) -> None:
    account.passages.update(int(parent, 16) for parent in family.split("+"))
    metadata = data.get("metadata")
    if account.pages is None and isinstance(metadata, Mapping):
        account.pages = metadata.get("page_count")


def _entry(name: str, account: _Account) -> dict[str, JSON]:
    return {
        "file": name,
        "pages": account.pages,
        "passages": len(account.passages),
        "rows": account.rows,
        "rejected": dict(sorted(account.rejected.items())),
    }
