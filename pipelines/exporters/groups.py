"""Which rows have to stay together in one split, as groups of families that share something.

    groups = Groups()
    groups.add("9f2c+07d1")                      # a row with two parents unites their families
    groups.tie("9f2c", ("document", "leave.md")) # and so does a value that its rows have in common
    groups.tie("41aa", ("document", "leave.md"))
    groups.name("07d1") == groups.name("41aa")   # True

Held in memory is an entry for every family and every value; no text of any row.
"""

from collections.abc import Iterable

from pipelines.rows import canonical


class Groups:
    """Union-find over families and the values that tie them.

    A group is named after its smallest value, where it has none after its smallest family. So its
    name does not depend on the order of unions, and a further family with a known value does not
    change it.
    """

    def __init__(self, families: Iterable[str] = ()) -> None:
        self._parent: dict[str, str] = {}
        for family in families:
            self.add(family)

    def add(self, family: str) -> None:
        """Take in a family; one that is joined by "+" unites those it is joined of."""
        if "+" in family:
            first, *others = family.split("+")
            for other in others:
                self._unite(first, other)

    def unite(self, one: str, other: str) -> None:
        """Put two families, joined or not, into one group."""
        self._unite(_first(one), _first(other))

    def tie(self, family: str, value: tuple[str, object]) -> None:
        """Put a family into one group with all that are tied to the same value."""
        self._unite(_first(family), f" {canonical(value)}")  # sorts before any family

    def name(self, family: str) -> str:
        """The name of the group that `family`, joined or not, belongs to."""
        return self._root(_first(family))

    def _root(self, node: str) -> str:
        root = node
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while (parent := self._parent.get(node, node)) != root:
            self._parent[node], node = root, parent
        return root

    def _unite(self, one: str, other: str) -> None:
        low, high = sorted((self._root(one), self._root(other)))
        self._parent[high] = low


def _first(family: str) -> str:
    return family.partition("+")[0]
