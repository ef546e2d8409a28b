"""Streams of seeds: the order a job asks for, and the error when there is nothing in them.

for seed in seeds(source, view):
    ...     # what `source.read(view)` gives, shuffled where the job says so
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pipelines.rows import digest
from pipelines.sources.base import BadSeed, Seed, Source, SourceView
from pipelines.sources.files import File
from prompts.errors import SourceError


def seeds(source: Source, view: SourceView) -> Iterator[Seed | BadSeed]:
    """All seeds of `source` in the order the job asks for.

    Shuffled rows are sorted by a hash of the job's seed and their identity, so a row that comes or
    goes leaves the others in their order. What could not be read comes first.

    Raises:
        SourceError: Nothing is readable at all.
    """
    if not source.shuffle:
        yield from source.read(view)
        return
    drawn: list[tuple[str, Seed]] = []
    seen: Counter[str] = Counter()
    for seed in source.read(view):
        if isinstance(seed, BadSeed):
            yield seed
            continue
        identity = seed.identity()
        drawn.append((digest(view.seed, identity, seen[identity]), seed))
        seen[identity] += 1
    drawn.sort(key=lambda pair: pair[0])
    for _, seed in drawn:
        yield seed


def require_some(
    items: Iterable[Seed | BadSeed], paths: Sequence[str], *, where: bool = False
) -> Iterator[Seed | BadSeed]:
    """`items` as they come, and an error at their end if no row was among them.

    Args:
        items: What a source reads.
        paths: Where from, for the error.
        where: Whether conditions may have left all of them out.

    Raises:
        SourceError: With the reasons, the number of each, and the first that was met.
    """
    bad: list[BadSeed] = []
    count: Counter[str] = Counter()
    found = False
    for item in items:
        if isinstance(item, BadSeed):
            count[item.reason] += 1
            bad = bad or [item]
        else:
            found = True
        yield item
    if not found and where and not bad:
        listing = ", ".join(f"'{path}'" for path in paths)
        fix = "give conditions that one meets, or leave 'where' out"
        raise SourceError(f"no record of {listing} is as 'where' asks", fix=fix, key="where")
    if not found:
        raise _nothing(paths, count, bad)


def first_file(items: Iterable[File | BadSeed], paths: Sequence[str]) -> File:
    """The first of `items` that is a file.

    Raises:
        SourceError: As `require_some`.
    """
    bad: list[BadSeed] = []
    for item in items:
        if isinstance(item, File):
            return item
        bad.append(item)
    raise _nothing(paths, Counter(item.reason for item in bad), bad)


def _nothing(paths: Sequence[str], count: Counter[str], bad: list[BadSeed]) -> SourceError:
    where = ", ".join(f"'{path}'" for path in paths)
    if not bad:
        return SourceError(f"nothing to read in {where}", fix="give a path that holds something")
    reasons = ", ".join(f"{number} {reason}" for reason, number in count.most_common())
    problem = f"nothing in {where} can be read ({reasons}); first '{bad[0].key}': {bad[0].detail}"
    return SourceError(problem, fix="mend that, or give another path")
