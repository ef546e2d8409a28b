"""Drawing by hash: the same texts give the same sample whatever their order or machine.

places(["a", "b", "c"], 2, seed=0)     # [0, 2]: two of three, in their order
"""

import hashlib
from collections.abc import Sequence


def ranked(keys: Sequence[str], seed: int) -> list[int]:
    """All places in an order drawn by hash; equal keys stay in theirs."""

    def drawn(place: int) -> tuple[bytes, int]:
        text = f"{seed}\x00{keys[place]}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=8).digest(), place

    return sorted(range(len(keys)), key=drawn)


def places(keys: Sequence[str], count: int, seed: int = 0) -> list[int]:
    """At most `count` places drawn without replacement, ascending."""
    return sorted(ranked(keys, seed)[:count])


def stratified(labels: Sequence[str], keys: Sequence[str], count: int, seed: int = 0) -> list[int]:
    """`count` places with every label as near to equally often as its rows allow, ascending."""
    order = ranked(keys, seed)
    waiting = {label: [p for p in order if labels[p] == label] for label in sorted(set(labels))}
    found: list[int] = []
    while len(found) < count and any(waiting.values()):
        for label in waiting:
            if waiting[label] and len(found) < count:
                found.append(waiting[label].pop(0))
    return sorted(found)
