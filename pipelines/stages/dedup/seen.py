"""The texts that `dedup` remembers, and the decision on each row: the first of several alike stays.

    seen.decide(rows, context)
    ->  [Verdict(row, None), Verdict(row, Fault("near_duplicate", {"twin": "9f2c", ...})), ...]

Rows are compared with the sets of `against`, then with all rows kept before them. Equal texts are
looked up; what else may be alike an `Index` finds, for many rows at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.rows import JSON, Fault, Row
from pipelines.stages.base import Context
from pipelines.stages.dedup.index import Array, CrowdedError, Index

if TYPE_CHECKING:
    from pipelines.stages.dedup.stage import Dedup

TOGETHER = 4_096  # rows hashed and looked up at once
LETTERS = 1 << 20  # of their texts, about


class Known(NamedTuple):
    """A text that rows are compared with.

    Attributes:
        id: Of its row, or of a record of a set.
        family: Of its row; empty in a set.
        text: As it is compared.
        of: The set or the column it comes from; empty for what rows themselves are compared by.
    """

    id: str
    family: str
    text: str
    of: str = ""


class Verdict(NamedTuple):
    """A row, and why it is a duplicate if it is one."""

    row: Row
    fault: Fault | None


Read = tuple[Row, list[Known | Fault]]
"""A row and its texts: those of `also`, then its own, or why it has none."""


class Pool:
    """Known texts and their index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.known: list[Known] = []
        self._equal: dict[str, int | list[int]] = {}

    def add(self, batch: Any, places: Sequence[int], known: Sequence[Known]) -> None:
        """Enter texts that `batch` holds at `places`."""
        self.index.add(batch, places)
        for item in known:
            self._enter(item, len(self.known))
            self.known.append(item)

    def equal(self, text: str) -> Sequence[Known]:
        """The known ones with that text, in their order."""
        numbers = self._equal.get(text)
        if numbers is None:
            return ()
        return [self.known[n] for n in ([numbers] if isinstance(numbers, int) else numbers)]

    def _enter(self, item: Known, number: int) -> None:
        others = self._equal.setdefault(item.text, number)  # hardly any text has two
        if isinstance(others, list):
            others.append(number)
        elif others != number:
            self._equal[item.text] = [others, number]


@dataclass
class Round:
    """Rows that are decided together.

    Attributes:
        batch: What the index read of their different texts.
        places: Where a text stands in the batch.
        among: For each place, the candidates among known texts.
        beside: The index of the batch's own texts.
        before: For each place, the candidates among the batch, of which only those that stand
            before it can have been kept.
        kept: By place, what was kept of it.
        order: The places of what was kept, in order.
    """

    batch: Any
    places: dict[str, int]
    among: list[tuple[Pool, list[Array]]]
    beside: Index
    before: list[Array]
    kept: dict[int, list[Known]] = field(default_factory=dict)
    order: list[tuple[int, Known]] = field(default_factory=list)


class Seen:
    """The texts of all rows kept so far, and those of the sets.

    Args:
        stage: The settings.
    """

    def __init__(self, stage: "Dedup") -> None:
        self._stage = stage
        self._restored: list[Known] = []
        self._fresh: list[Known] = []
        self._pools: list[Pool] = []  # of the sets, then of the rows
        self._most = TOGETHER  # rows decided together

    def additions(self) -> list[JSON]:
        """The texts kept since the last call, each as [id, family, text, of]."""
        fresh = [list(known) for known in self._fresh]
        self._fresh.clear()
        return fresh

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave, in its order."""
        self._restored += [Known(*item) for item in additions]

    def restored(self) -> list[str]:
        """Texts that were restored and are not indexed yet."""
        return [known.text for known in self._restored]

    def open(self, context: Context) -> None:
        """Index the sets, and what was restored; does nothing the second time."""
        if self._pools:
            return
        # An engine that has compared all rows beforehand puts an index of its own there.
        sets = Pool(context.shared("index", lambda: self._stage.open_index(context)))
        rows = Pool(sets.index.fresh())
        _fill(sets, self._stage.read_sets(context))
        _fill(rows, self._restored)
        self._restored.clear()
        self._pools = [sets, rows]

    def decide(self, rows: Sequence[Row], context: Context) -> Iterator[Verdict]:
        """Keep or refuse each of some rows, in order."""
        self.open(context)
        read = [(row, self._stage.items(row)) for row in rows]
        while read:
            now = self._at_once(read)
            try:
                this = self._round(read[:now])
            except CrowdedError:
                self._most = now // 2
                continue
            yield from self._decide(read[:now], this)
            self._most = min(TOGETHER, 2 * self._most)
            read = read[now:]

    def _at_once(self, read: Sequence[Read]) -> int:
        """How many of the rows are decided together: what the index has room for, and memory."""
        room = self._pools[-1].index.room()
        texts = size = 0
        for now, (_, items) in enumerate(read[: self._most]):
            texts += len(items)
            for item in items:
                size += len(item.text) if isinstance(item, Known) else 0
            if now and ((room is not None and texts > room) or size > LETTERS):
                return now
        return min(self._most, len(read))

    def _decide(self, read: Sequence[Read], this: Round | None) -> Iterator[Verdict]:
        if this is None:
            yield from (Verdict(row, fault) for row, [fault] in read if isinstance(fault, Fault))
            return
        for row, items in read:
            fault = None
            for item in items:
                fault = item if isinstance(item, Fault) else self._judge(item, this)
            yield Verdict(row, fault)
        kept = [known for _, known in this.order]
        self._pools[-1].add(this.batch, [place for place, _ in this.order], kept)
        self._fresh += kept

    def _round(self, read: Sequence[Read]) -> Round | None:
        """What the rows are compared by; None where none has the column."""
        items = (item for _, items in read for item in items)
        texts = list(dict.fromkeys(item.text for item in items if isinstance(item, Known)))
        if not texts:
            return None
        own = self._pools[-1].index
        batch = own.read(texts)
        beside = own.fresh()
        beside.add(batch, range(len(texts)))
        before = beside.known(batch, earlier=len(read) > 1)  # a single row is never too many
        among = [(pool, pool.index.known(batch)) for pool in self._pools if pool.known]
        places = {text: place for place, text in enumerate(texts)}
        return Round(batch, places, among, beside, before)

    def _judge(self, item: Known, this: Round) -> Fault | None:
        """Why the item is a duplicate; what is none is kept."""
        place = this.places[item.text]
        equal: list[Known] = []
        for pool, _ in this.among:
            equal += pool.equal(item.text)
        equal += this.kept.get(place, ())
        if not item.of:
            for known in equal:
                if self._compared(known, item):
                    return Fault("duplicate", _detail(known, {"similarity": 1.0}))
            alike = self._alike(item, place, this)
            if alike is not None:
                return Fault("near_duplicate", _detail(*alike))
        if (item.family, item.of) not in [(known.family, known.of) for known in equal]:
            this.kept.setdefault(place, []).append(item)
            this.order.append((place, item))
        return None

    def _alike(self, item: Known, place: int, this: Round) -> tuple[Known, dict[str, JSON]] | None:
        """The first known text that is like the item, and what shows it."""
        for pool, found in this.among:
            for number in found[place].tolist():
                if self._compared(pool.known[number], item):
                    evidence = pool.index.evidence(this.batch, place, number)
                    if evidence is not None:
                        return pool.known[number], evidence
        for other in this.before[place].tolist():
            for known in this.kept.get(other, ()):
                if self._compared(known, item):
                    evidence = this.beside.evidence(this.batch, place, other)
                    if evidence is not None:
                        return known, evidence
        return None

    def _compared(self, known: Known, item: Known) -> bool:
        return self._stage.within_family or not related(known.family, item.family)


def related(first: str, second: str) -> bool:
    """Whether two families have a source row in common."""
    return first == second or (
        ("+" in first or "+" in second) and not set(first.split("+")).isdisjoint(second.split("+"))
    )


def _fill(pool: Pool, items: Iterable[Known]) -> None:
    waiting = iter(items)
    while some := list(islice(waiting, pool.index.room() or TOGETHER)):
        pool.add(pool.index.read([known.text for known in some]), range(len(some)), some)


def _detail(twin: Known, evidence: dict[str, JSON]) -> dict[str, JSON]:
    return {"twin": twin.id, **evidence, **({"of": twin.of} if twin.of else {})}
