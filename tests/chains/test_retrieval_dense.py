import errno
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.embedding import open_embedder
from chains.embedding.scripted import ScriptedEmbedder
from chains.retrieval import RETRIEVERS, Dense, Hit, Hybrid, Mmr, OwnResources, Passage
from chains.retrieval.dense import nearest
from chains.retrieval.hybrid import fuse
from chains.retrieval.mmr import diversified
from chains.retrieval.retriever import open_retriever
from prompts.errors import UsageError

TEXTS = ["Cats purr when they are glad.", "Dogs bark at the post.", "A cat purrs.", "Fish swim."]


def passages(*texts: str) -> list[Passage]:
    return [Passage(text, f"{number}.md", 0, len(text)) for number, text in enumerate(texts)]


class CountingEmbedder(ScriptedEmbedder):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        return super().encode(texts)


def unit_vectors(seed: int, count: int, dimensions: int = 24) -> Any:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def by_fractions(one: Any, two: Any) -> float:
    return math.fsum(float(a) * float(b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("block", [1, 7, 8_192])
def test_the_nearest_are_those_of_a_full_comparison(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chains.retrieval.dense._BLOCK", block)
    vectors = unit_vectors(1, 60)
    vectors[30:40] = vectors[:10]  # equal ones
    vectors[50] = 0
    queries = unit_vectors(2, 5).astype(np.float32)
    for k in (1, 4, 100):
        for query, hits in zip(queries, nearest(vectors, queries, k), strict=True):
            every = [Hit(n, by_fractions(query, vector)) for n, vector in enumerate(vectors)]
            ranked = sorted((h for h in every if h.score > 0), key=lambda h: (-h.score, h.place))
            assert hits == ranked[:k], "scores are exact, so they are equal to the bit"


def test_a_query_finds_the_same_whatever_is_asked_beside_it() -> None:
    index = Dense().index(passages(*TEXTS), OwnResources(ScriptedEmbedder()))
    queries = ["purring cats", "post", "a fish"]
    assert index.search(queries, 3) == [index.search([query], 3)[0] for query in queries]
    assert index.search(queries, 0) == [[], [], []]
    assert Dense().index([], OwnResources(ScriptedEmbedder())).search(["a"], 3) == [[]]


def test_meaning_is_found_where_no_word_is_shared() -> None:
    index = Dense().index(passages(*TEXTS), OwnResources(open_embedder("embedded")))
    (best,) = index.search(["sound that a happy kitten makes"], 1)[0]
    assert TEXTS[best.place] in {"Cats purr when they are glad.", "A cat purrs."}


def test_without_an_embedder_it_says_what_it_needs() -> None:
    for settings in (Dense(), Hybrid(), Mmr(of="bm25")):  # type: ignore[arg-type]
        assert settings.uses_embedder()
        with pytest.raises(UsageError, match="needs an embedder"):
            settings.index(passages(*TEXTS)).search(["cats"], 2)


@pytest.mark.parametrize("kind", ["bm25", "dense", "hybrid", "mmr"])
def test_passages_are_left_out_as_if_they_were_not_there(kind: str) -> None:
    settings = RETRIEVERS.build({"kind": kind})
    index = settings.index(passages(*TEXTS, *TEXTS), OwnResources(ScriptedEmbedder()))
    found = index.search(["a cat purrs", "fish"], 3, [{0, 2, 4}, ()])
    assert {hit.place for hit in found[0]} & {0, 2, 4} == set()
    assert 6 in {hit.place for hit in found[0]}
    assert found[1] == index.search(["fish"], 3)[0]


def test_ranks_are_fused_as_the_formula_says() -> None:
    one = [Hit(3, 9.0), Hit(1, 8.0), Hit(2, 7.0)]
    two = [Hit(1, 0.9), Hit(4, 0.8)]
    fused = fuse([(1.0, one), (2.0, two)], 60)
    expected = {1: 1 / 62 + 2 / 61, 4: 2 / 62, 3: 1 / 61, 2: 1 / 63}
    assert {hit.place: hit.score for hit in fused} == {
        p: pytest.approx(s) for p, s in expected.items()
    }
    assert [hit.place for hit in fused] == [1, 4, 3, 2]
    assert [hit.place for hit in fuse([(1.0, [Hit(5, 1.0)]), (1.0, [Hit(2, 1.0)])], 60)] == [2, 5]


def test_a_hybrid_has_what_either_part_has() -> None:
    resources = OwnResources(ScriptedEmbedder())
    settings = RETRIEVERS.build({"kind": "hybrid", "of": ["bm25", {"kind": "dense"}]})
    found = settings.index(passages(*TEXTS), resources).search(["purr"], 10)[0]
    parts = [part.index(passages(*TEXTS), resources) for part in settings.parts().values()]
    places = [{hit.place for hit in index.search(["purr"], 10)[0]} for index in parts]
    assert {hit.place for hit in found} == places[0] | places[1]
    assert settings.model_dump(mode="json")["of"][0]["kind"] == "bm25"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"kind": "hybrid", "of": ["bm25"]}, "at least 2"),
        ({"kind": "hybrid", "weights": [1]}, "1 weights for 2 retrievers"),
        ({"kind": "hybrid", "weights": [1, 0]}, "greater than 0"),
        ({"kind": "hybrid", "of": ["bm25", "dens"]}, "write 'dense'"),
        ({"kind": "mmr", "lambda": 1.5}, "less than or equal to 1"),
        ({"kind": "mmr", "lamda": 0.5}, "write 'lambda'"),
        ({"kind": "rerank"}, "add 'model'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        RETRIEVERS.build(settings)


def by_greed(hits: Sequence[Hit], vectors: Any, lambda_: float, k: int) -> list[Hit]:
    """Maximal marginal relevance, term by term."""
    low, high = min(h.score for h in hits), max(h.score for h in hits)
    left, taken = list(range(len(hits))), []
    while left and len(taken) < k:

        def worth(i: int) -> float:
            relevance = (hits[i].score - low) / (high - low) if high > low else 1.0
            near = max((by_fractions(vectors[i], vectors[j]) for j in taken), default=0.0)
            return lambda_ * relevance - (1 - lambda_) * near

        best = max(left, key=lambda i: (worth(i), -i))
        left.remove(best)
        taken.append(best)
    return [hits[i] for i in taken]


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=9),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.integers(1, 9),
)
def test_marginal_relevance_is_that_of_the_definition(
    scores: list[int], lambda_: float, k: int
) -> None:
    hits = [Hit(n, float(s)) for n, s in enumerate(sorted(scores, reverse=True))]
    vectors = unit_vectors(len(scores), len(scores), 4)
    assert diversified(hits, vectors.astype(np.float32), lambda_, k) == by_greed(
        hits, vectors, lambda_, k
    )


def test_a_copy_of_a_passage_comes_later() -> None:
    texts = ["The cat purrs loudly.", "The cat purrs loudly.", "Some cats do not purr at all."]
    resources = OwnResources(ScriptedEmbedder())
    plain = Mmr(of="bm25", **{"lambda": 1.0})  # type: ignore[arg-type]
    mixed = Mmr(of="bm25", **{"lambda": 0.3})  # type: ignore[arg-type]
    query = ["the cat purrs loudly, some"]
    assert [h.place for h in plain.index(passages(*texts), resources).search(query, 3)[0]] == [
        0,
        1,
        2,
    ]
    assert [h.place for h in mixed.index(passages(*texts), resources).search(query, 3)[0]] == [
        0,
        2,
        1,
    ]


def test_vectors_are_kept_and_read_again(tmp_path: Path) -> None:
    first, second = CountingEmbedder(), CountingEmbedder()
    before = Dense().index(passages(*TEXTS), OwnResources(first, folder=tmp_path))
    after = Dense().index(passages(*TEXTS), OwnResources(second, folder=tmp_path))
    assert sorted(first.asked) == sorted(TEXTS)
    assert second.asked == []
    assert before.search(["cats"], 4) == after.search(["cats"], 4)
    assert [path.suffix for path in sorted(tmp_path.rglob("*.*"))] == [".json", ".npy"]


@pytest.mark.parametrize("name", ["about.json", "vectors.npy"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\x93NUMPY\x01\x00v\x00", None])
def test_a_damaged_index_is_made_again(tmp_path: Path, name: str, damage: bytes | None) -> None:
    Dense().index(passages(*TEXTS), OwnResources(ScriptedEmbedder(), folder=tmp_path))
    (file,) = tmp_path.rglob(name)
    content = file.read_bytes()
    file.write_bytes(content[:-2] + b"?!" if damage is None else damage)
    again = CountingEmbedder()
    Dense().index(passages(*TEXTS), OwnResources(again, folder=tmp_path))
    assert sorted(again.asked) == sorted(TEXTS)
    assert file.read_bytes() == content


def test_objects_in_an_index_are_not_unpickled(tmp_path: Path) -> None:
    Dense().index(passages(*TEXTS), OwnResources(ScriptedEmbedder(), folder=tmp_path))
    (file,) = tmp_path.rglob("vectors.npy")
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return canary.touch, ()

    np.save(file, np.array([Evil()] * 4, dtype=object), allow_pickle=True)
    again = CountingEmbedder()
    Dense().index(passages(*TEXTS), OwnResources(again, folder=tmp_path))
    assert not canary.exists()
    assert len(again.asked) == len(TEXTS)


def test_a_full_disk_keeps_nothing_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    index = Dense().index(passages(*TEXTS), OwnResources(ScriptedEmbedder(), folder=tmp_path))
    assert index.search(["cats"], 1)[0]
    assert list(tmp_path.iterdir()) == []


def test_as_a_langchain_retriever_it_is_given_an_embedder() -> None:
    retriever = open_retriever(
        Hybrid(), passages(*TEXTS), resources=OwnResources(ScriptedEmbedder())
    )
    assert retriever.invoke("fish that swim")[0].page_content == "Fish swim."
    (others,) = retriever.search(["fish that swim"], ["3.md"])
    assert others
    assert "3.md" not in [document.metadata["document"] for document in others]


def test_every_key_of_nested_retrievers_has_its_place() -> None:
    rerank = {"kind": "rerank", "model": "judge"}
    nested = RETRIEVERS.build({"kind": "mmr", "of": {"kind": "hybrid", "of": ["bm25", rerank]}})
    assert list(nested.judges()) == ["of.of.1.model"]
    assert RETRIEVERS.build({"kind": "hybrid", "of": ["bm25", "bm25"]}).uses_embedder() is False


def test_an_approximate_index_gives_exact_scores_and_finds_nearly_all(tmp_path: Path) -> None:
    from chains.retrieval.approximate import InvertedLists
    from chains.retrieval.dense import _DenseIndex

    centres = unit_vectors(3, 60).astype(np.float32)
    spread = np.repeat(centres, 100, axis=0) + 0.1 * unit_vectors(4, 6_000).astype(np.float32)
    vectors = (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float16)

    class Asked(OwnResources):
        def embed(self, texts: Sequence[str]) -> Any:
            return vectors[[int(text) for text in texts]].astype(np.float32)

    queries = [str(number) for number in range(0, 6_000, 97)]
    exact = _DenseIndex(vectors, Asked()).search(queries, 10)
    lists = InvertedLists(vectors, tmp_path, "key")
    found = _DenseIndex(vectors, Asked(), lists).search(queries, 10)
    kept = _DenseIndex(vectors, Asked(), InvertedLists(vectors, tmp_path, "key"))
    assert kept.search(queries, 10) == found
    scores = {place: dict(hits) for place, hits in enumerate(exact)}
    same = [(hit.place in scores[q]) for q, hits in enumerate(found) for hit in hits]
    assert all(
        hit.score == scores[q][hit.place]
        for q, hits in enumerate(found)
        for hit in hits
        if hit.place in scores[q]
    )
    assert sum(same) / len(same) > 0.95


def test_few_passages_are_all_compared() -> None:
    resources = OwnResources(embedder=ScriptedEmbedder())
    exact = Dense().index(passages(*TEXTS), resources).search(["A glad cat"], 3)
    for least in (1, 5):
        index = Dense(approximate_from=least).index(passages(*TEXTS), resources)
        assert index.search(["A glad cat"], 3) == exact
    assert Dense(approximate_from=1).index([], resources).search(["A glad cat"], 3) == [[]]
