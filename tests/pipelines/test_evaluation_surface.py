"""Measures of wording against values worked out by hand and a plain implementation."""

import gzip
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluation.intrinsic import duplicates, label_shares, spread
from pipelines.evaluation.sampling import places, stratified
from pipelines.evaluation.surface import (
    compression_ratio,
    distinct,
    ngrams,
    self_bleu,
    self_repetition,
    tokens,
)

WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=7)


def test_tokens_are_lower_case_words() -> None:
    assert tokens("It's GREAT — 10 of 10, no_thing!") == [
        "it's", "great", "10", "of", "10", "no", "thing",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "words", "expected"),
    [(1, None, 3 / 6), (2, None, 4 / 4), (1, 3, 2 / 3), (2, 4, 2 / 2), (4, None, None)],
)
def test_distinct_is_different_over_all(order: int, words: int | None, expected: float) -> None:
    texts = [["a", "b", "a"], ["b", "c", "c"]]
    assert distinct(texts, order, words) == expected


def test_compression_ratio_is_that_of_gzip() -> None:
    texts = ["the same words again"] * 30
    raw = "\n".join(texts).encode()
    assert compression_ratio(texts) == len(raw) / len(gzip.compress(raw, 9, mtime=0))
    assert compression_ratio([]) is None


def test_self_repetition_counts_hits_in_other_texts() -> None:
    texts = [["a", "b", "c", "d", "e"], ["a", "b", "c", "d"], ["x", "b", "c", "d", "e"]]
    # First: abcd in one other, bcde in one other. Second: abcd. Third: bcde.
    assert self_repetition(texts) == pytest.approx((math.log(3) + 2 * math.log(2)) / 3)


def plain_bleu(candidate: list[str], references: list[list[str]]) -> float:
    """BLEU-4 as its definition reads, all references looked at."""
    logs = []
    for order in range(1, 5):
        counts = Counter(ngrams(candidate, order))
        best: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            best |= Counter(ngrams(reference, order))
        smooth = 1 if order > 1 else 0
        matched = sum(min(count, best[gram]) for gram, count in counts.items()) + smooth
        total = sum(counts.values()) + smooth
        if matched == 0:
            return 0.0
        logs.append(math.log(matched / total))
    lengths = sorted(len(reference) for reference in references)
    nearest = min(lengths, key=lambda length: abs(length - len(candidate)))
    brevity = min(1.0, math.exp(1 - nearest / len(candidate)))
    return brevity * math.exp(sum(logs) / 4)


@given(st.lists(WORDS, min_size=2, max_size=6))
def test_self_bleu_is_the_mean_bleu_against_all_others(texts: list[list[str]]) -> None:
    scores = [plain_bleu(text, texts[:i] + texts[i + 1 :]) for i, text in enumerate(texts)]
    assert self_bleu(texts) == pytest.approx(sum(scores) / len(scores))


def test_copies_have_self_bleu_one() -> None:
    assert self_bleu([["a", "b", "c", "d", "e"]] * 3) == pytest.approx(1)
    assert self_bleu([["a"]]) is None


def test_duplicates_are_counted_once_for_each_later_text() -> None:
    long = "the waiter brought us cold soup and warm beer, and nobody said sorry"
    texts = ["A gem.", "a GEM", "Awful.", long, long + " at all", "Something else entirely."]
    found = duplicates(texts)
    assert found == pytest.approx({"exact_duplicates": 1 / 6, "near_duplicates": 2 / 6})


def test_spread_gives_moments_and_quantiles() -> None:
    found = spread([4, 1, 2, 3])
    assert found["mean"] == 2.5
    assert found["deviation"] == pytest.approx(math.sqrt(1.25))
    assert (found["min"], found["max"]) == (1, 4)


def test_label_shares_begin_with_the_most_frequent() -> None:
    assert list(label_shares(["b", "a", "b", "c"]).items()) == [("b", 2), ("a", 1), ("c", 1)]


def test_drawing_does_not_depend_on_the_order() -> None:
    texts = [f"text {number}" for number in range(50)]
    drawn = {texts[place] for place in places(texts, 10, seed=3)}
    turned = texts[::-1]
    assert {turned[place] for place in places(turned, 10, seed=3)} == drawn
    assert {texts[place] for place in places(texts, 10, seed=4)} != drawn


def test_stratified_drawing_evens_labels_out_as_far_as_they_go() -> None:
    labels = ["a"] * 20 + ["b"] * 3 + ["c"] * 20
    found = stratified(labels, [str(i) for i in range(43)], 13)
    assert Counter(labels[place] for place in found) == {"a": 5, "b": 3, "c": 5}
