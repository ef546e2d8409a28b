import sqlite3
import threading
import tracemalloc
from collections import Counter
from contextlib import closing
from pathlib import Path
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


def test_what_is_held_does_not_grow_with_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occurrences, "IN_MEMORY", 2_000)
    with closing(Occurrences()) as counting:
        tracemalloc.start()
        count_all(counting, numbers(Random(4), 2_001, 2**40))
        full = tracemalloc.get_traced_memory()[0]
        count_all(counting, numbers(Random(5), 8_000, 2**40))
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


def further(counting: Occurrences, *pragmas: str) -> list[object]:
    """What the database of further hashes says to each pragma."""
    assert counting._further is not None
    return [counting._further.execute(f"PRAGMA {name}").fetchone()[-1] for name in pragmas]


def test_the_first_32768_hashes_are_in_memory_and_those_beyond_in_a_database() -> None:
    assert occurrences.IN_MEMORY == 32_768
    with closing(Occurrences()) as counting:
        count_all(counting, [f"{number:016x}" for number in range(32_768)] * 2)
        assert counting._further is None
        counting.next("f" * 16)
        assert counting._further is not None


def test_the_database_is_of_no_use_to_others_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occurrences, "IN_MEMORY", 0)
    monkeypatch.chdir(tmp_path)
    counting = Occurrences()
    counting.next("0" * 16)
    names = ("journal_mode", "synchronous", "database_list")
    assert further(counting, *names) == ["off", 0, ""]  # no file has a name
    assert list(tmp_path.iterdir()) == []
    counting.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        further(counting, "journal_mode")


def test_seeds_may_be_counted_in_another_thread_than_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(occurrences, "IN_MEMORY", 0)
    found = []
    with closing(Occurrences()) as counting:
        counting.next("0" * 16)
        thread = threading.Thread(target=lambda: found.append(counting.next("0" * 16)))
        thread.start()
        thread.join()
    assert found == [1]
