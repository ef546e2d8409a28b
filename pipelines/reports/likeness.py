"""Groups of accepted rows that are nearly alike, the largest first.

alike(rows, "question")     # [["9f2c...", "07d1...", "41aa..."], ["b3e0...", "77aa..."]]
"""

from collections.abc import Sequence

from pipelines.exporters.groups import Groups
from pipelines.exporters.near import unite_near_duplicates
from pipelines.exporters.profile import LIKE
from pipelines.rows import Row


def alike(rows: Sequence[Row], column: str) -> list[list[str]]:
    """Ids of rows whose texts have a Jaccard similarity of 0.8 or more to another of their group.

    Character 5-grams are compared; case, punctuation and spaces do not count.
    """
    own = [
        Row(row.id, row.order, row.id, {"text": row.data[column]})
        for row in rows
        if isinstance(row.data.get(column), str)
    ]
    groups = Groups()
    unite_near_duplicates(lambda: iter(own), lambda row: str(row.data["text"]), LIKE, groups)
    members: dict[str, list[str]] = {}
    for row in own:
        members.setdefault(groups.name(row.family), []).append(row.id)
    return sorted((ids for ids in members.values() if len(ids) > 1), key=lambda ids: -len(ids))
