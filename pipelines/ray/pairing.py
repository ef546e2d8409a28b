"""Near-duplicates of a whole source in a Ray cluster: which texts are alike, before any is judged.

    alike_texts(texts, stage, parts=8)      # {(17, 4): 0.8125}: texts 17 and 4
    paired(texts, stage, parts=8)           # an index for `dedup` in the place of `MinHash`

Three steps of Ray Data: every chunk of texts gives its band keys; what shares a key comes together
(a group-by on the keys) and gives pairs; pairs of neighbouring texts come together, each once, and
their true similarity is computed. What is rejected is decided afterwards, row by row in the order
of the source, by the code that decides without Ray: the first of several alike stays.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.index import NOBODY, Array
from pipelines.stages.dedup.minhash import Hashing
from pipelines.stages.dedup.shingling import jaccard, shingles
from pipelines.stages.dedup.sketches import Sketches
from pipelines.stages.dedup.stage import Dedup

CHUNK = 16_384  # texts that are hashed together
_FLUSH = 1 << 22  # pairs held before equal ones are thrown away
_SLACK = 1e-9

Pairs = dict[tuple[int, int], float]
"""The similarity of texts by their numbers, the later one first."""


class Table:
    """Texts, and which of them are alike.

    Args:
        texts: Different ones.
        pairs: Of their numbers.
    """

    def __init__(self, texts: Sequence[str], pairs: Pairs) -> None:
        self.numbers = {text: number for number, text in enumerate(texts)}
        self.pairs = pairs
        self.beside: dict[int, list[int]] = defaultdict(list)
        for later, earlier in pairs:
            self.beside[later].append(earlier)
            self.beside[earlier].append(later)

    def similarity(self, one: int, other: int) -> float | None:
        """Of two texts; None where they are not alike."""
        return 1.0 if one == other else self.pairs.get((max(one, other), min(one, other)))


class PairIndex:
    """Implements `pipelines.stages.dedup.index.Index` over texts that are all known beforehand."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._texts: list[int] = []
        self._places: dict[int, list[int]] = defaultdict(list)

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> list[int]:
        """Their numbers in the table."""
        return [self._table.numbers[text] for text in texts]

    def known(self, batch: list[int], *, earlier: bool = False) -> list[Array]:
        """Those that the table says are alike."""
        found = []
        for place, text in enumerate(batch):
            beside = (text, *self._table.beside.get(text, ()))
            numbers = sorted(n for other in beside for n in self._places.get(other, ()))
            kept = [n for n in numbers if n < place] if earlier else numbers
            found.append(np.array(kept, dtype=np.int64) if kept else NOBODY)
        return found

    def evidence(self, batch: list[int], place: int, number: int) -> dict[str, JSON] | None:
        """The true similarity."""
        similarity = self._table.similarity(batch[place], self._texts[number])
        return None if similarity is None else {"similarity": round(similarity, 4)}

    def add(self, batch: list[int], places: Sequence[int]) -> None:
        """Enter texts."""
        for place in places:
            self._places[batch[place]].append(len(self._texts))
            self._texts.append(batch[place])

    def fresh(self) -> Self:
        """An empty one over the same table."""
        return type(self)(self._table)


def paired(texts: Sequence[str], stage: Dedup, parts: int) -> PairIndex:
    """An index that `dedup` asks in the place of its own, over texts compared in the cluster."""
    return PairIndex(Table(texts, alike_texts(texts, stage, parts)))


class _Plan(NamedTuple):
    """What the steps share: the texts as references to chunks, and how they are compared."""

    chunks: list[Any]
    parts: int
    num_perm: int
    bands: int
    ngram: int
    unit: Any
    least: float


def alike_texts(texts: Sequence[str], stage: Dedup, parts: int) -> Pairs:
    """Pairs that share a band key and whose similarity reaches the threshold.

    Args:
        texts: Different ones, as they are compared.
        stage: Its settings, of method minhash.
        parts: Into how many the keys, and the pairs, are cut.
    """
    import ray
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    chunks = [ray.put(list(texts[i : i + CHUNK])) for i in range(0, len(texts), CHUNK)]
    plan = _Plan(chunks, parts, stage.num_perm, stage.bands, stage.ngram, stage.unit, stage.least)
    found = (
        ray.data.range(len(chunks), override_num_blocks=len(chunks))
        .map_batches(_keyed, fn_args=(plan,), batch_size=1, zero_copy_batch=True)
        .groupby("part", num_partitions=parts)
        .map_groups(_paired, fn_args=(plan,))
        .groupby("part", num_partitions=parts)
        .map_groups(_verified, fn_args=(plan,))
        .take_all()
    )
    return {
        (int(later), int(earlier)): float(similarity)
        for row in found
        for later, earlier, similarity in zip(
            *(np.frombuffer(row[name], kind) for name, kind in _VERIFIED), strict=True
        )
    }


_VERIFIED = (("later", np.int64), ("earlier", np.int64), ("similarity", np.float64))


def _keyed(batch: dict[str, Array], plan: _Plan) -> dict[str, list[Any]]:
    """Band keys of one chunk: for each part the keys that fall into it, and whose they are."""
    import ray

    chunk = int(batch["id"][0])
    hashing = Hashing(num_perm=plan.num_perm, bands=plan.bands, ngram=plan.ngram, unit=plan.unit)
    keys = hashing.read(ray.get(plan.chunks[chunk])).keys
    owners = np.repeat(np.arange(len(keys)) + chunk * CHUNK, keys.shape[1])
    return _split(keys.ravel(), owners, (keys.ravel() % np.uint64(plan.parts)), plan.parts)


def _split(first: Array, second: Array, part: Array, parts: int) -> dict[str, list[Any]]:
    """Two columns of 64 bits, cut into parts; a row for each, so that few rows are shuffled."""
    chosen = [np.flatnonzero(part == number) for number in range(parts)]
    return {
        "part": list(range(parts)),
        "first": [first[at].tobytes() for at in chosen],
        "second": [second[at].tobytes() for at in chosen],
    }


def _paired(group: dict[str, Any], plan: _Plan) -> dict[str, list[Any]]:
    """All pairs of texts that share a key of this part."""
    keys = np.frombuffer(b"".join(group["first"]), np.uint64)
    texts = np.frombuffer(b"".join(group["second"]), np.int64)
    order = np.lexsort((texts, keys))
    keys, texts = keys[order], texts[order]
    at, apart, held, joint = np.arange(len(keys)), 0, 0, [np.zeros(0, dtype=np.int64)]
    while len(at):  # texts that stand 1, 2, 3 ... behind each other in one bucket
        apart += 1
        at = at[at + apart < len(keys)]
        at = at[keys[at] == keys[at + apart]]
        joint.append((texts[at + apart] << 32) | texts[at])
        held += len(at)
        if held > _FLUSH:
            joint, held = [np.unique(np.concatenate(joint))], 0
    pairs = np.unique(np.concatenate(joint))
    later, earlier = pairs >> 32, pairs & 0xFFFFFFFF
    return _split(later, earlier, later // 64 % plan.parts, plan.parts)


def _verified(group: dict[str, Any], plan: _Plan) -> dict[str, list[Any]]:
    """Those of the pairs that are alike, each once."""
    later, earlier = (
        np.frombuffer(b"".join(group[name]), np.int64) for name in ("first", "second")
    )
    pairs = np.unique((later << 32) | earlier)
    numbers, places = np.unique([pairs >> 32, pairs & 0xFFFFFFFF], return_inverse=True)
    texts = _texts(numbers, plan)
    one, other = places.reshape(2, -1)
    one, other = _likely(texts, one, other, plan)
    kept: list[tuple[int, int, float]] = []
    own, own_shingles = -1, set[Any]()
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        if a != own:
            own, own_shingles = a, shingles(texts[a], plan.ngram, plan.unit)
        similarity = jaccard(own_shingles, shingles(texts[b], plan.ngram, plan.unit))
        if similarity >= plan.least:
            kept.append((int(numbers[a]), int(numbers[b]), similarity))
    columns = zip(*kept, strict=True) if kept else ([], [], [])
    return {
        name: [np.array(column, kind).tobytes()]
        for (name, kind), column in zip(_VERIFIED, columns, strict=True)
    }


def _texts(numbers: Array, plan: _Plan) -> list[str]:
    """The texts of ascending numbers, with one chunk in memory at a time."""
    import ray

    found: list[str] = []
    for chunk in np.unique(numbers // CHUNK).tolist():
        held = ray.get(plan.chunks[chunk])
        found += [held[n % CHUNK] for n in numbers[numbers // CHUNK == chunk].tolist()]
    return found


def _likely(texts: list[str], one: Array, other: Array, plan: _Plan) -> tuple[Array, Array]:
    """Of pairs of places in `texts`, the first ascending, those that can be alike by sketches."""
    if not len(one):
        return one, other
    # One hash function: only the sketch is looked at, which needs none.
    sketch = Hashing(num_perm=1, bands=1, ngram=plan.ngram, unit=plan.unit).read(texts).sketch
    sketches = Sketches()
    sketches.add(sketch)
    likely = sketches.bounds_of(sketch, one, other) >= plan.least - _SLACK
    return one[likely], other[likely]
