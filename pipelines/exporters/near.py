"""Puts rows whose texts are nearly alike into one group, so that no split has a twin in another.

    groups = Groups()
    unite_near_duplicates(run.rows, text=lambda row: row.data["question"], 0.8, groups)
    # "How do I get to the office?" and "How do I get to this office?" are now in one group

The rows are read twice. The first time MinHash finds candidates: what is kept of a row is its
family, a hash of its text and its band keys. The second time the texts of the candidates alone are
kept, and their true Jaccard similarity decides: no estimate ever unites two rows. Case, quotation
marks, punctuation and spaces do not count.

Texts of one template share their bands by thousands. For such a crowd what each has in common with
all others is counted at once, and only what can be alike is compared.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice

import numpy as np

from pipelines.exporters.groups import Groups
from pipelines.normalising import normalised
from pipelines.rows import Row
from pipelines.stages.dedup.index import Array
from pipelines.stages.dedup.minhash import Hashing, chance_of_finding
from pipelines.stages.dedup.overlaps import Overlaps
from pipelines.stages.dedup.shingling import jaccard, shingle_hashes, shingles

LIKE = 0.8
"""The similarity from which on the card, the report and `evaluate` call texts nearly alike."""

TOGETHER = 256  # rows hashed at once
NUM_PERM = 128
NGRAM = 5  # characters in a shingle
SURE = 0.999  # the chance that a pair at the threshold becomes a candidate


def unite_near_duplicates(
    rows: Callable[[], Iterator[Row]],
    text: Callable[[Row], str],
    threshold: float,
    groups: Groups,
) -> None:
    """Unite the families of rows with a Jaccard similarity of character 5-grams >= `threshold`.

    Args:
        rows: Reads the rows from the start.
        text: What is compared of a row.
        threshold: 0.2 to 1.
        groups: The groups that are united.
    """
    index = _Index(threshold)
    for block in _blocks(rows()):
        index.add(block, [normalised(text(row)) for row in block], groups)
    index.close()
    for block in _blocks(rows()):
        index.keep([normalised(text(row)) for row in block])
    index.verify(groups)


def alike(texts: Sequence[str], threshold: float = LIKE) -> list[list[int]]:
    """Groups of texts of which each is like another one of its group; texts alone are one too.

    Args:
        texts: What is compared.
        threshold: As above.

    Returns:
        Places in `texts`, ascending within a group; groups by their first place.
    """
    rows = [Row(str(n), (n,), str(n), {"text": text}) for n, text in enumerate(texts)]
    groups = Groups()
    unite_near_duplicates(lambda: iter(rows), lambda row: texts[row.order[0]], threshold, groups)
    members: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        members.setdefault(groups.name(row.family), []).append(place)
    return list(members.values())


def repeated(texts: Sequence[str], threshold: float = LIKE) -> float:
    """The share that would go if of every group of texts nearly alike one were kept, 0 to 1."""
    return 1 - len(alike(texts, threshold)) / len(texts) if texts else 0.0


def bands_for(threshold: float) -> int:
    """The fewest bands that make a pair at the threshold a candidate with a chance of 0.999."""
    choices = (bands for bands in (8, 16, 32, 64) if _chance(threshold, bands) >= SURE)
    return next(choices, NUM_PERM)


def _chance(threshold: float, bands: int) -> float:
    return chance_of_finding(threshold, num_perm=NUM_PERM, bands=bands)


def _blocks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while block := list(islice(rows, TOGETHER)):
        yield block


class _Index:
    """The different texts of a run by number, their band keys, and the texts of candidates."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._bands = bands_for(threshold)
        self._hashing = Hashing(num_perm=NUM_PERM, bands=self._bands, ngram=NGRAM, unit="chars")
        self._numbers: dict[bytes, int] = {}
        self._families: list[str] = []
        self._parts: list[Array] = []
        self._keys: Array = np.zeros((0, self._bands), dtype=np.uint64)
        self._crowded: Array = np.zeros(0, dtype=bool)
        self._texts: dict[int, str] = {}
        self._tried: set[tuple[int, int]] = set()

    def add(self, block: list[Row], texts: list[str], groups: Groups) -> None:
        """Take in rows; those with a text that is known are united with the first that had it."""
        fresh: list[str] = []
        for row, text in zip(block, texts, strict=True):
            groups.add(row.family)
            number = self._numbers.setdefault(_hash(text), len(self._families))
            if number == len(self._families):
                self._families.append(row.family)
                fresh.append(text)
            else:
                groups.unite(self._families[number], row.family)
        if fresh:
            self._parts.append(self._hashing.of(fresh)[0])

    def close(self) -> None:
        """All rows have been added: find those that share a band with another."""
        if self._parts:
            self._keys = np.concatenate(self._parts)
        self._parts = []
        self._crowded = np.zeros(len(self._families), dtype=bool)
        for bucket in self._buckets():
            self._crowded[bucket] = True

    def keep(self, texts: list[str]) -> None:
        """Keep the texts that will be compared."""
        for text in texts:
            number = self._numbers[_hash(text)]
            if self._crowded[number] and number not in self._texts:
                self._texts[number] = text

    def verify(self, groups: Groups) -> None:
        """Compare what shares a band and is not in one group yet; unite what is alike."""
        crowded = []
        for bucket in self._buckets():
            if len(bucket) == 2:
                self._compare(int(bucket[0]), int(bucket[1]), groups)
            elif len(set(self._names(bucket.tolist(), groups))) > 1:
                crowded.append(bucket)
        for crowd in _connected(crowded, len(self._families)):
            self._verify_crowd(crowd, groups)

    def _buckets(self) -> Iterator[Array]:
        """Numbers of texts with a band key in common, ascending; a bucket has two or more."""
        for band in range(self._bands):
            column = self._keys[:, band]
            order = np.argsort(column, kind="stable")
            starts = np.flatnonzero(np.diff(column[order], prepend=column[:1] ^ np.uint64(1)))
            ends = np.append(starts[1:], len(order))
            for run in np.flatnonzero(ends - starts > 1).tolist():
                yield order[starts[run] : ends[run]]

    def _verify_crowd(self, crowd: list[int], groups: Groups) -> None:
        """Unite what is alike in a crowd, until all of it is in one group."""
        names = self._names(crowd, groups)
        (largest, many), *_ = Counter(names).most_common()
        if many == len(crowd):
            return
        hashes = hashed([self._texts[number] for number in crowd])
        overlaps = Overlaps(hashes, self._threshold)
        labels = np.unique(names, return_inverse=True)[1]
        for place in [place for place, name in enumerate(names) if name != largest]:
            _, found = overlaps.like([hashes[place]])
            while len(found := found[labels[found] != labels[place]]):
                if self._compare(crowd[place], crowd[found[0]], groups):
                    labels[labels == labels[found[0]]] = labels[place]
                found = found[1:]
            if (labels == labels[0]).all():
                return

    def _compare(self, one: int, other: int, groups: Groups) -> bool:
        """Whether two texts are in one group, after they were united if they are alike."""
        pair = (min(one, other), max(one, other))
        families = [self._families[number] for number in pair]
        if groups.name(families[0]) == groups.name(families[1]):
            return True
        if pair in self._tried:
            return False
        self._tried.add(pair)
        sets = (shingles(self._texts[number], NGRAM, "chars") for number in pair)
        if jaccard(*sets) < self._threshold:
            return False
        groups.unite(*families)
        return True

    def _names(self, numbers: list[int], groups: Groups) -> list[str]:
        return [groups.name(self._families[number]) for number in numbers]


def _connected(buckets: list[Array], texts: int) -> Iterator[list[int]]:
    """Numbers of texts that buckets hold together, directly or by way of others, ascending."""
    if not buckets:
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.concatenate([bucket[1:] for bucket in buckets])
    firsts = np.repeat([bucket[0] for bucket in buckets], [len(bucket) - 1 for bucket in buckets])
    edges = coo_array((np.ones(len(ends), dtype=bool), (firsts, ends)), shape=(texts, texts))
    labels = connected_components(edges, directed=False)[1]
    order = np.argsort(labels, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(part) > 1:
            yield part.tolist()


def hashed(texts: Sequence[str]) -> list[Array]:
    """A hash of each different shingle of some texts, uint64 [shingles] for each."""
    hashes, counts = shingle_hashes(texts, NGRAM, "chars")
    return [np.unique(own) for own in np.split(hashes, np.cumsum(counts)[:-1])]


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
