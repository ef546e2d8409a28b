import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.rows import JSON, digest
from pipelines.stages.dedup import minhash, sketches
from pipelines.stages.dedup.buckets import Buckets, pairs
from pipelines.stages.dedup.index import Array, by_place, together
from pipelines.stages.dedup.minhash import Hashing, chance_of_finding
from pipelines.stages.dedup.shingling import Unit, jaccard, mix, shingles
from pipelines.stages.dedup.sketches import Sketch, Sketches, joined


def hashing(num_perm: int = 128, bands: int = 32, ngram: int = 1, unit: Unit = "words") -> Hashing:
    return Hashing(num_perm=num_perm, bands=bands, ngram=ngram, unit=unit)


@pytest.mark.parametrize(
    ("text", "ngram", "unit", "expected"),
    [
        ("abcd", 3, "chars", {"abc", "bcd"}),
        ("ab", 3, "chars", {"ab"}),
        ("", 3, "chars", {""}),
        ("a b c", 2, "words", {("a", "b"), ("b", "c")}),
        ("a", 2, "words", {("a",)}),
    ],
)
def test_shingles_are_all_ngrams(text: str, ngram: int, unit: Unit, expected: set[object]) -> None:
    assert shingles(text, ngram, unit) == expected


def test_jaccard_is_the_shared_part() -> None:
    assert jaccard({1, 2, 3}, {2, 3, 4}) == 0.5
    assert jaccard({1}, {1}) == 1.0
    assert jaccard({1}, {2}) == 0.0


@pytest.mark.parametrize(("num_perm", "bands"), [(128, 32), (64, 8), (12, 12)])
@pytest.mark.parametrize("size", [20, 100])  # few words leave functions to be computed outright
@pytest.mark.parametrize("percent", [40, 60, 80])
def test_pairs_share_a_band_as_often_as_theory_says(
    num_perm: int, bands: int, size: int, percent: int
) -> None:
    """`size` words in both texts together, `percent` of them in both."""
    shared = size * percent // 100
    own = (size - shared) // 2
    firsts, seconds = [], []
    for pair in range(600):
        words = [f"{pair}-{number}" for number in range(size)]
        firsts.append(" ".join(words[: shared + own]))
        seconds.append(" ".join(words[:shared] + words[shared + own :]))
    made = hashing(num_perm, bands)
    found = np.mean((made.of(firsts)[0] == made.of(seconds)[0]).any(axis=1))
    expected = chance_of_finding(percent / 100, num_perm=num_perm, bands=bands)
    error = (expected * (1 - expected) / len(firsts)) ** 0.5
    assert found == pytest.approx(expected, abs=4 * error + 0.01)


def test_the_chance_of_finding_a_pair_is_the_formula() -> None:
    assert chance_of_finding(0.8, num_perm=112, bands=14) == pytest.approx(0.92, abs=0.01)
    assert chance_of_finding(0.7, num_perm=112, bands=14) == pytest.approx(0.57, abs=0.01)


@pytest.mark.parametrize(
    ("first", "second", "unit"),
    [("ab", "ab\0", "chars"), ("ab", "ba", "chars"), ("a b", "b a", "words"), ("a", "", "words")],
)
def test_different_short_texts_share_nothing(first: str, second: str, unit: Unit) -> None:
    keys, _ = hashing(ngram=5, unit=unit).of([first, second])
    assert not (keys[0] == keys[1]).any()


def test_a_text_has_the_same_keys_in_any_company() -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdef ", k=draw.choice([0, 3, 40, 6_000]))) for _ in range(12)]
    made = hashing(ngram=5, unit="chars")
    together, sketched = made.of(texts)
    for number, text in enumerate(texts):
        keys, [sketch] = made.of([text])
        assert (keys[0] == together[number]).all()
        assert (sketch == sketched[number]).all()
        assert len(sketch) == len(shingles(text, 5, "chars"))


def test_texts_are_read_in_stretches_of_some_letters_or_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = ["aaaa", "bbb", "c", "", "dddd", "e"]
    assert list(minhash._parts(texts, 5)) == [["aaaa", "bbb"], ["c", "", "dddd", "e"]]
    assert list(minhash._parts(texts, 14)) == [texts]
    assert list(minhash._parts([], 5)) == [[]]
    monkeypatch.setattr(minhash, "_TEXTS", 2)
    assert [len(part) for part in minhash._parts(["a"] * 7, 14)] == [3, 3, 1]


def test_keys_and_sketches_are_the_same_for_ever() -> None:
    """They decide which near-duplicates are found: other ones give other rows, on purpose only."""
    draw = random.Random(4)
    texts = ["", "a", "the cat", "\u65e5\u672c \xe9t\xe9"]
    for size in (5, 30, 200, 6_000):
        texts += [" ".join(draw.choices(["the", "cat", "sat", "on", "a", "mat."], k=size))]
        texts += [" ".join(f"{draw.randrange(10**6):x}" for _ in range(size))]
    found: list[JSON] = []
    for made in (hashing(), hashing(64, 16, 5, "chars"), hashing(12, 12, 2), hashing(1024, 512)):
        keys, sketched = made.of(texts)
        found += [keys.tolist(), [sketch.tolist() for sketch in sketched]]
    assert digest(found) == "2cfa379d7edcc35f"


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=2, max_size=2), max_size=60), st.data())
def test_buckets_find_every_text_with_a_key_in_common(
    rows: list[list[int]], data: st.DataObject
) -> None:
    keys = mix(np.array(rows, dtype=np.uint64).reshape(-1, 2))
    buckets = Buckets()
    start = 0
    while start < len(keys):
        size = data.draw(st.integers(1, 9))
        some = keys[start : start + size]
        buckets.add(some.ravel(), np.arange(start, start + len(some)).repeat(2))
        start += size
    assert found_in(buckets, keys) == [
        [number for number, other in enumerate(rows) if set(other) & set(row)] for row in rows
    ]


def found_in(buckets: Buckets, keys: Array) -> list[list[int]]:
    """For each text the numbers with a key in common."""
    owners = np.arange(len(keys)).repeat(keys.shape[1])
    found = [pairs(spans, owners) for spans in buckets.find(keys.ravel())]
    return [n.tolist() for n in by_place(*together(found, earlier=False), len(keys))]


def test_a_crowded_bucket_is_found_whole_and_in_order() -> None:
    buckets = Buckets()
    for start in range(0, 3_000, 100):  # many merges
        buckets.add(np.ones(100, dtype=np.uint64), np.arange(start, start + 100))
    for spans in buckets.find(np.ones(1, dtype=np.uint64)):
        numbers = spans.numbers(slice(spans.first[0], spans.last[0]))
        assert (np.diff(numbers.astype(np.int64)) > 0).all()
    assert found_in(buckets, np.ones((1, 1), dtype=np.uint64)) == [list(range(3_000))]


def test_texts_whose_numbers_lie_far_apart_are_found() -> None:
    keys = mix(np.array([1, 2, 1, 1], dtype=np.uint64))
    buckets = Buckets()
    buckets.add(keys, np.array([3, 4, 5_000_000, 9_000_000]))
    assert found_in(buckets, keys[:2, None]) == [[3, 5_000_000, 9_000_000], [4]]


@pytest.mark.parametrize("unit", ["chars", "words"])
def test_a_bound_is_never_below_the_similarity_and_mostly_near_it(unit: Unit) -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices("abcdefgh", k=draw.randint(0, 40))) for _ in range(60)]
    _, sketched = hashing(ngram=3, unit=unit).of(texts)
    known = Sketches()
    for sketch in sketched:
        known.add(sketch)
    numbers = np.arange(len(texts), dtype=np.uint32)
    for text, sketch in zip(texts, sketched, strict=True):
        own = shingles(text, 3, unit)
        true = [jaccard(own, shingles(other, 3, unit)) for other in texts]
        bounds = known.bounds(sketch, numbers)
        assert (bounds >= np.array(true) - 1e-12).all()
        assert np.abs(bounds - true).max() < 0.1
        assert (known.bounds(sketch, numbers[5::7]) == bounds[5::7]).all()


@pytest.mark.parametrize("long", [0, 512])  # shingles from which on some are looked at first
@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.6, 0.8, 0.95, 1.0])
def test_a_look_at_some_shingles_tells_what_a_look_at_all_does(
    threshold: float, long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketches, "LONG", long)
    draw = np.random.default_rng(3)

    def drawn(texts: int) -> Sketch:
        kinds = int(draw.integers(5, 200))
        sets = [np.unique(draw.integers(0, kinds, draw.integers(1, 60))) for _ in range(texts)]
        return joined([one.astype(np.uint16) for one in sets])

    for _ in range(40):
        known, batch = Sketches(), drawn(20)
        known.add(drawn(15))
        places, numbers = np.repeat(np.arange(20), 15), np.tile(np.arange(15), 20)
        bounds = known.bounds_of(batch, places, numbers)
        found = known.reaching(batch, places, numbers, threshold)
        assert (found == (bounds >= threshold - 1e-9)).all()
