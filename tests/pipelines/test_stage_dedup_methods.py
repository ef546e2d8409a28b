"""Each method of `dedup` finds what comparing all pairs finds."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from fakes import FakeContext, outcomes, reasons, row
from hypothesis import given, settings
from hypothesis import strategies as st

from chains.embedding.scripted import ScriptedEmbedder
from pipelines.normalising import normalised
from pipelines.rows import Outcome, Rejection
from pipelines.stages import STAGES, Dedup
from pipelines.stages.dedup.clusters import train
from pipelines.stages.dedup.rouge import rouge_l
from pipelines.stages.dedup.simhash import simhash
from pipelines.stages.dedup.substring import longest_run

Like = Callable[[str, str], float]


class Embedding(FakeContext):
    """A context with the scripted embedder, whose vectors are near for texts that are."""

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return ScriptedEmbedder().encode(texts)


def decided(texts: Sequence[str], **options: object) -> list[Outcome]:
    stage = STAGES.build({"kind": "dedup", "field": "text", **options})
    assert isinstance(stage, Dedup)
    rows = [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]
    return outcomes(stage, rows, Embedding(stage))


def twins(results: Sequence[Outcome]) -> list[str]:
    """For each row the row it duplicates and how similar they are."""
    return [
        f"{r.detail['twin']} {r.detail['similarity']}" if isinstance(r, Rejection) else ""
        for r in results
    ]


def by_brute_force(texts: Sequence[str], like: Like, threshold: float) -> list[str]:
    """The same by comparing each text with all that were kept; equal ones go first."""
    kept: list[int] = []
    found: list[str] = []
    for number, text in enumerate(texts):
        near = ((n, like(text, texts[n])) for n in kept)
        alike = [(n, similarity) for n, similarity in near if similarity >= threshold]
        alike.sort(key=lambda pair: normalised(texts[pair[0]]) != normalised(text))
        found.append(f"r{alike[0][0]} {round(alike[0][1], 4)}" if alike else "")
        if not alike:
            kept.append(number)
    return found


def sentences(count: int, seed: int, words: int = 60) -> list[str]:
    """Sentences, half of them with up to three words of another one changed or left out."""
    draw = random.Random(seed)
    known = ["".join(draw.choices("abcdefg", k=draw.randint(2, 7))) for _ in range(words)]
    texts = [draw.choices(known, k=draw.randint(4, 20)) for _ in range(count // 2)]
    for text in list(texts):
        edited = list(text)
        for _ in range(draw.randint(0, 3)):
            edited[draw.randrange(len(edited))] = draw.choice([*known, ""])
        texts.append(edited)
    draw.shuffle(texts)
    return [" ".join(" ".join(text).split()) for text in texts]


@cache
def fingerprint(text: str) -> Any:
    return simhash([normalised(text)], 5, "chars")[0]


@cache
def vector(text: str) -> Any:
    return ScriptedEmbedder().encode([text])[0].astype(np.float16).astype(np.float64)


def bits_alike(first: str, second: str) -> float:
    a, b = fingerprint(first), fingerprint(second)
    return 1 - int(np.bitwise_count(a ^ b)) / 64


def words_in_order(first: str, second: str) -> float:
    """ROUGE-L by the table of all prefixes."""
    a, b = normalised(first).split(), normalised(second).split()
    before = [0] * (len(b) + 1)
    for word in a:
        row_ = [0]
        for j, other in enumerate(b):
            row_.append(before[j] + 1 if word == other else max(before[j + 1], row_[j]))
        before = row_
    return 2 * before[-1] / (len(a) + len(b)) if a or b else 1.0


def run_in_common(first: str, second: str) -> float:
    """The share of `first` that its longest run of five words or more takes that `second` has."""
    a, b = normalised(first).split(), normalised(second).split()
    if a == b:
        return 1.0
    runs = ((i, j) for i in range(len(a)) for j in range(i + 5, len(a) + 1))
    there = {tuple(b[i:j]) for i in range(len(b)) for j in range(i + 5, len(b) + 1)}
    return max((j - i for i, j in runs if tuple(a[i:j]) in there), default=0) / max(1, len(a))


def cosine(first: str, second: str) -> float:
    return float(vector(first) @ vector(second)) if first != second else 1.0


@pytest.mark.parametrize(
    ("options", "like", "threshold"),
    [
        ({"method": "simhash", "distance": 3}, bits_alike, 1 - 3 / 64),
        ({"method": "simhash", "distance": 7}, bits_alike, 1 - 7 / 64),
        ({"method": "simhash", "distance": 14}, bits_alike, 1 - 14 / 64),
        ({"method": "rouge"}, words_in_order, 0.7),
        ({"method": "rouge", "threshold": 0.5}, words_in_order, 0.5),
        ({"method": "rouge", "threshold": 0.9}, words_in_order, 0.9),
        ({"method": "substring", "span": 5}, run_in_common, 1e-9),
        ({"method": "semantic"}, cosine, 0.9),
        ({"method": "semantic", "threshold": 0.7}, cosine, 0.7),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_method_finds_what_comparing_all_pairs_finds(
    options: dict[str, object], like: Like, threshold: float
) -> None:
    texts = sentences(200, seed=1)
    expected = by_brute_force(texts, like, threshold)
    assert twins(decided(texts, **options)) == expected
    assert sum(map(bool, expected)) > 10  # else the test would prove nothing


@given(st.lists(st.text(alphabet="ab .", max_size=14), max_size=20))
@settings(max_examples=40, deadline=None)
def test_rouge_agrees_on_short_texts(texts: list[str]) -> None:
    assert twins(decided(texts, method="rouge")) == by_brute_force(texts, words_in_order, 0.7)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_longest_run_is_the_longest(own: list[str], other: list[str]) -> None:
    start, length = longest_run(own, other, 2)
    there = {tuple(other[i:j]) for i in range(len(other)) for j in range(i + 2, len(other) + 1)}
    runs = [(i, j) for i in range(len(own)) for j in range(i + 2, len(own) + 1)]
    lengths = [j - i for i, j in runs if tuple(own[i:j]) in there]
    assert length == max(lengths, default=0)
    assert not length or tuple(own[start : start + length]) in there


def test_a_repeated_run_is_shown() -> None:
    texts = [
        "Sure! The fog rolls in from the sea at dawn, and the town wakes.",
        "I think the fog rolls in from the sea at noon.",
        "The fog rolls in.",
    ]
    results = decided(texts, method="substring", span=6)
    assert reasons(results) == ["", "near_duplicate", ""]
    assert isinstance(results[1], Rejection)
    shown = {
        "twin": "r0",
        "similarity": 0.7273,
        "words": 8,
        "text": "the fog rolls in from the sea at",
    }
    assert results[1].detail == shown


def test_rouge_l_of_known_texts() -> None:
    first = ["police", "killed", "the", "gunman"]
    assert rouge_l(first, ["police", "kill", "the", "gunman"]) == 0.75  # Lin 2004, section 3
    assert rouge_l(first, ["the", "gunman", "kill", "police"]) == 0.5
    assert rouge_l([], []) == 1.0


def test_the_evidence_of_simhash_is_the_distance() -> None:
    texts = ["the old town by the sea is quiet", "the old town by the sea is quite"]
    results = decided(texts, method="simhash", distance=31)
    assert isinstance(results[1], Rejection)
    distance = results[1].detail["distance"]
    assert results[1].detail["similarity"] == round(1 - distance / 64, 4)
    assert 0 < distance < 20


def test_clusters_find_nearly_all_that_comparing_all_finds() -> None:
    texts = sentences(1_200, seed=2, words=400)
    exact = [reason != "" for reason in reasons(decided(texts, method="semantic"))]
    found = decided(texts, method="semantic", exact_up_to=200)
    clustered = [reason != "" for reason in reasons(found)]
    assert sum(exact) > 100
    assert sum(clustered) >= 0.97 * sum(exact)
    assert not any(c and not e for c, e in zip(clustered, exact, strict=True))


def test_clusters_are_the_same_each_time_and_part_what_is_apart() -> None:
    draw = np.random.default_rng(0)
    centres = np.eye(8, 16)
    near = centres[np.arange(800) % 8] + 0.05 * draw.normal(size=(800, 16))
    vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float16)
    first, second = train(vectors).nearest(vectors), train(vectors).nearest(vectors)
    assert (first == second).all()
    for cluster in range(train(vectors).count):  # 28 of them: none has texts of two centres
        assert len(set(np.flatnonzero(first[:, 0] == cluster) % 8)) <= 1


def test_texts_without_tokens_have_no_meaning_to_share() -> None:
    class Silent(FakeContext):
        def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
            return np.zeros((len(texts), 8), dtype=np.float32)

    stage = Dedup(field="text", method="semantic", threshold=0.1)
    rows = [row(id="r0", text="\u200b"), row(id="r1", text="\u200c"), row(id="r2", text="\u200b")]
    assert reasons(outcomes(stage, rows, Silent(stage))) == ["", "", "duplicate"]
