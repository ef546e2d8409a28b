"""`sample`: passages from all over a folder, and few moves when the folder changes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jobs import loaded_job
from source_views import View, build, parted

from pipelines.sources import Seed, seeds
from prompts.errors import UsageError

SPLIT = {"tokens": 12, "overlap": 0}


def write(folder: Path, **sections: int) -> None:
    """Documents of so many sections of two passages each."""
    (folder / "docs").mkdir(exist_ok=True)
    for name, count in sections.items():
        text = "".join(
            f"## Part {n}\n\nHere {name} tells of number {n} and begins.\n\n"
            f"Then {name} tells more of number {n} until it is over.\n\n"
            for n in range(count)
        )
        (folder / "docs" / f"{name}.md").write_text(text, encoding="utf-8")


def sample(folder: Path, seed: int = 7, **settings: Any) -> list[Seed]:
    view = View(folder, seed)
    given = {"path": "docs", "split": SPLIT, "sample": settings}
    found, bad = parted(build("documents", **given).read(view))
    assert bad == []
    return found


def documents(found: list[Seed]) -> Counter[str]:
    return Counter(passage.data["document"] for passage in found)


def test_small_documents_are_covered_as_large_ones(tmp_path: Path) -> None:
    write(tmp_path, large=40, small=1, medium=5)
    whole = sample(tmp_path)
    counts = documents(whole)
    assert counts["large.md"] > 70
    assert 3 * counts["small.md"] < counts["medium.md"]
    assert documents(sample(tmp_path, rows=3)) == dict.fromkeys(counts, 1)
    small = counts["small.md"]
    six = documents(sample(tmp_path, rows=3 * small + 4))
    assert six == {"large.md": small + 2, "small.md": small, "medium.md": small + 2}
    assert documents(sample(tmp_path, by="none", rows=20))["large.md"] > 12


def test_every_section_is_read_before_one_is_read_twice(tmp_path: Path) -> None:
    write(tmp_path, a=6, b=3)
    found = sample(tmp_path, by="section", rows=9)
    parts = {(one.data["document"], one.data["start"] // 110) for one in found}
    assert len(found) == 9
    assert documents(found) == {"a.md": 6, "b.md": 3}
    assert len(parts) >= 8  # spans of 110 characters, about one section each


def test_any_beginning_of_the_order_is_even(tmp_path: Path) -> None:
    write(tmp_path, a=9, b=9, c=9, d=9)
    order = sample(tmp_path)
    for size in range(1, len(order) + 1):
        counts = [documents(order[:size]).get(f"{name}.md", 0) for name in "abcd"]
        assert max(counts) - min(counts) <= 1


def test_a_new_document_takes_no_more_than_its_own_places(tmp_path: Path) -> None:
    write(tmp_path, a=9, b=9, c=9)
    before = [one.identity() for one in sample(tmp_path, rows=12)]
    write(tmp_path, d=9)
    after = [one.identity() for one in sample(tmp_path, rows=12)]
    assert len(set(before) - set(after)) == 3  # what the fourth document took
    kept = [one for one in before if one in set(after)]
    assert kept == [one for one in after if one in set(before)]


def test_the_seed_decides_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, a=20, b=20)
    first = [one.identity() for one in sample(tmp_path, rows=10)]
    assert first == [one.identity() for one in sample(tmp_path, rows=10)]
    others = [[one.identity() for one in sample(tmp_path, seed, rows=10)] for seed in (1, 2)]
    assert len({tuple(one) for one in (first, *others)}) == 3


def test_shuffling_a_sample_keeps_its_rows(tmp_path: Path) -> None:
    write(tmp_path, a=20, b=20)
    source = build("documents", path="docs", split=SPLIT, sample={"rows": 10}, shuffle=True)
    shuffled, _ = parted(seeds(source, View(tmp_path)))
    assert {s.identity() for s in shuffled} == {s.identity() for s in sample(tmp_path, rows=10)}


def test_what_cannot_be_read_is_still_told(tmp_path: Path) -> None:
    write(tmp_path, a=2)
    (tmp_path / "docs" / "none.md").write_text("  \n", encoding="utf-8")
    source = build("documents", path="docs", split=SPLIT, sample={"rows": 1})
    found, bad = parted(source.read(View(tmp_path)))
    assert (len(found), [one.reason for one in bad]) == (1, ["empty"])


def test_a_sample_changes_the_fingerprint_and_wrong_keys_are_named(tmp_path: Path) -> None:
    write(tmp_path, a=2)
    view = View(tmp_path)
    plain = build("documents", path="docs").fingerprint(view)
    assert plain != build("documents", path="docs", sample={"rows": 1}).fingerprint(view)
    sources = [{"kind": "documents", "path": str(tmp_path / "docs"), "sample": {"by": "page"}}]
    with pytest.raises(UsageError) as caught:
        loaded_job(tmp_path, sources=sources, stages=[])
    assert caught.value.key == "sources.0.sample.by"
