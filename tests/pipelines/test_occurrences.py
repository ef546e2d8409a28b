import tracemalloc
from collections import Counter
from contextlib import closing
from random import Random

import pytest

from pipelines import occurrences
from pipelines.occurrences import Occurrences
from prompts.errors import ResourceError


def numbers(draw: Random, count: int, most: int) -> list[str]:
    return [f"{draw.randrange(most) * 0x9E3779B97F4A7C15 % 2**64:016x}" for _ in range(count)]


def count_all(counting: Occurrences, contents: list[str]) -> None:
    for content in contents:
        counting.next(content)


@pytest.mark.parametrize("in_memory", [0, 1, 300, 10_000])
def test_equal_hashes_are_counted_wherever_they_are_held(
    in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "IN_MEMORY", in_memory)
    before: Counter[str] = Counter()
    with closing(Occurrences()) as counting:
        for content in [*numbers(Random(3), 3000, 900), "0" * 16, "f" * 16, "f" * 16]:
            assert counting.next(content) == before[content]
            before[content] += 1


def test_what_is_held_does_not_grow_with_what_is_counted() -> None:
    with closing(Occurrences()) as counting:
        tracemalloc.start()
        count_all(counting, numbers(Random(4), occurrences.IN_MEMORY + 1, 2**40))
        full = tracemalloc.get_traced_memory()[0]
        count_all(counting, numbers(Random(5), occurrences.IN_MEMORY, 2**40))
        assert tracemalloc.get_traced_memory()[0] - full < 100_000
        tracemalloc.stop()


def test_a_full_disk_of_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occurrences, "IN_MEMORY", 0)
    with closing(Occurrences()) as counting:
        counting.next("0" * 16)
        assert counting._further is not None
        counting._further.execute("PRAGMA max_page_count = 3")
        with pytest.raises(ResourceError, match=r"cannot count equal seeds: .*full; fix: free"):
            count_all(counting, numbers(Random(6), 5_000, 2**40))
