"""Groups of accepted rows that are nearly alike, the largest first.

alike(rows, "question")     # [["9f2c...", "07d1...", "41aa..."], ["b3e0...", "77aa..."]]
"""

from collections.abc import Sequence

from pipelines.exporters import near
from pipelines.rows import Row


def alike(rows: Sequence[Row], column: str) -> list[list[str]]:
    """Ids of rows whose texts have a Jaccard similarity of 0.8 or more to another of their group.

    Character 5-grams are compared; case, punctuation and spaces do not count.
    """
    found = [(row.id, text) for row in rows if isinstance(text := row.data.get(column), str)]
    groups = near.alike([text for _, text in found])
    named = [[found[place][0] for place in group] for group in groups if len(group) > 1]
    return sorted(named, key=lambda ids: -len(ids))
