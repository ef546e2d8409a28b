"""Which split a row belongs to, so that no family is ever separated.

    sizes = {("41aa", "positive"): 3, ("9f2c", "negative"): 1, ("9f2c+07d1", "negative"): 2}
    assign(sizes, {"train": 0.8, "test": 0.2}, seed=7)
    # {"41aa": "train", "9f2c": "test", "9f2c+07d1": "test"}

A family is what came out of one source row. A row with several parents carries their families
joined by "+", and so unites them: whatever shares a parent, however indirectly, goes to one split.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import accumulate, groupby
from typing import NamedTuple

from pipelines.exporters.groups import Groups
from pipelines.rows import digest


class _Piece(NamedTuple):
    """Rows of one label in one group of united families; pieces sort large groups first.

    `size` is the group's number of rows, negative; `draw` puts groups of one size in random order.
    """

    size: int
    draw: int
    group: str
    label: str
    rows: int


def assign(
    sizes: Mapping[tuple[str, str], int],
    shares: Mapping[str, float],
    seed: int,
    groups: Groups | None = None,
) -> dict[str, str]:
    """The split of every family, with sizes as near to the shares as whole families allow.

    Groups of united families are taken from the largest to the smallest, those of one size in the
    order of a hash of their name and the seed: the order of rows decides nothing. Each goes to
    one of the splits with room for all of it, by the Webster (Sainte-Lague) rule on the rows of
    its labels, so that splits fill in step and get large and small groups alike; where none has
    room, to the one with most room. With target sizes by largest remainder, every split then ends
    less than the largest group away from its target: once a group finds no room, every room is
    smaller than it, and rooms only shrink.

    After that, an empty split is given the smallest group of those splits that have two or more,
    even if that goes beyond the bound. So a split is empty only where groups are fewer than splits.

    Args:
        sizes: (family, label) -> number of rows. Labels are stratified by; "" for all where that is
            not wanted.
        shares: Split -> its part of the rows; all positive. Only their proportions matter.
        seed: The job's seed.
        groups: What else has to stay together; left out, the families that joined ones unite.

    Returns:
        Family, as in `sizes`, -> split.
    """
    unions = _with_families(groups, sizes)
    totals: Counter[str] = Counter()
    for (family, _), rows in sizes.items():
        totals[unions.name(family)] += rows
    pieces = sorted(
        _Piece(-totals[group], int(digest(seed, group), 16), group, label, rows)
        for (family, label), rows in sizes.items()
        for group in (unions.name(family),)
    )
    rooms = _Rooms(pieces, shares)
    placed = {group: rooms.take(labels) for group, labels in _groups(pieces)}
    _fill_empty(placed, pieces, largest_remainder(sum(sizes.values()), shares))
    return {family: placed[unions.name(family)] for family, _ in sizes}


def assign_by_hash(
    families: Iterable[str],
    shares: Mapping[str, float],
    seed: int,
    groups: Groups | None = None,
) -> dict[str, str]:
    """The split of every family by a hash of its group's name and the seed alone.

    A family that comes or goes moves no other one, as long as it does not unite two groups. The
    shares are met on average: a split of share p has, of n groups of one size, p n with a standard
    deviation of sqrt(p (1 - p) n), and may be empty.

    Args:
        families: The families, joined or not.
        shares: As for `assign`.
        seed: As for `assign`.
        groups: As for `assign`.

    Returns:
        Family -> split.
    """
    names = list(families)
    united = _with_families(groups, ((name, "") for name in names))
    return {family: _drawn(digest(seed, united.name(family)), shares) for family in names}


def _drawn(name: str, shares: Mapping[str, float]) -> str:
    """The split in whose part of the range from 0 to 1 the 64 bits of a hash lie."""
    exact = {split: Fraction(str(share)) for split, share in shares.items()}
    place = Fraction(int(name, 16), 1 << 64) * sum(exact.values())
    bounds = accumulate(exact.values())
    return next(split for split, bound in zip(exact, bounds, strict=True) if place < bound)


def _with_families(groups: Groups | None, sizes: Iterable[tuple[str, str]]) -> Groups:
    united = groups or Groups()
    for family, _ in sizes:
        united.add(family)
    return united


def largest_remainder(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to `total` in the proportions of `shares` (Hamilton's method).

    Shares are taken as the decimal numbers they are written as. Ties go to the earlier share.
    """
    exact = {name: Fraction(str(share)) for name, share in shares.items()}
    whole = sum(exact.values())
    quotas = {name: total * share / whole for name, share in exact.items()}
    sizes = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: sizes[name] - quotas[name])
    for name in by_remainder[: total - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


class _Rooms:
    """How many rows each split has room for, and how full it is by label."""

    def __init__(self, pieces: Iterable[_Piece], shares: Mapping[str, float]) -> None:
        labels: Counter[str] = Counter()
        for piece in pieces:
            labels[piece.label] += piece.rows
        whole = sum(shares.values())
        self._room = largest_remainder(labels.total(), shares)
        self._wanted = {
            label: {split: rows * share / whole for split, share in shares.items()}
            for label, rows in labels.items()
        }
        self._taken = {label: dict.fromkeys(shares, 0) for label in labels}

    def take(self, labels: Mapping[str, int]) -> str:
        """The split for a group with `labels[label]` rows of each label, counted as taken."""
        size = sum(labels.values())
        roomy = [split for split, room in self._room.items() if room >= size]
        if roomy:
            split = min(roomy, key=lambda split: self._fullness(split, labels))
        else:
            split = max(self._room, key=lambda split: self._room[split])
        self._room[split] -= size
        for label, rows in labels.items():
            self._taken[label][split] += rows
        return split

    def _fullness(self, split: str, labels: Mapping[str, int]) -> float:
        """How full of these labels the split would be with half of the group in it."""
        return sum(
            rows * (self._taken[label][split] + rows / 2) / self._wanted[label][split]
            for label, rows in labels.items()
        )


def _groups(pieces: Iterable[_Piece]) -> Iterator[tuple[str, Counter[str]]]:
    """Each group with its rows by label."""
    for group, members in groupby(pieces, key=lambda piece: piece.group):
        labels: Counter[str] = Counter()
        for piece in members:
            labels[piece.label] += piece.rows
        yield group, labels


def _fill_empty(
    placed: dict[str, str], pieces: Iterable[_Piece], targets: Mapping[str, int]
) -> None:
    """Give empty splits a group each, as long as some split has two; changes `placed`."""
    members = Counter(placed.values())
    for empty in sorted((s for s in targets if not members[s]), key=lambda s: -targets[s]):
        spare = (
            (labels.total(), -targets[placed[group]], position, group)
            for position, (group, labels) in enumerate(_groups(pieces))
            if members[placed[group]] > 1
        )
        smallest = min(spare, default=None)
        if smallest is None:
            return
        group = smallest[-1]
        members[placed[group]] -= 1
        placed[group] = empty
