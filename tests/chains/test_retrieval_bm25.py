import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.retrieval import RETRIEVERS, Bm25, Hit, OwnResources, Passage, words
from prompts.errors import UsageError


def passages(*texts: str) -> list[Passage]:
    return [Passage(text, f"{number}.md", 0, len(text)) for number, text in enumerate(texts)]


def by_hand(texts: list[str], query: str, k1: float = 0.9, b: float = 0.4) -> list[float]:
    """BM25 as its formula says, term by term."""
    corpus = [words(text) for text in texts]
    mean = sum(map(len, corpus)) / len(corpus)
    scores = []
    for text in corpus:
        score = 0.0
        for word in words(query):
            having = sum(word in other for other in corpus)
            idf = math.log(1 + (len(corpus) - having + 0.5) / (having + 0.5))
            count = text.count(word)
            score += idf * count / (count + k1 * (1 - b + b * len(text) / mean)) if count else 0.0
        scores.append(score)
    return scores


TEXTS = ["The cat sat on the mat.", "Cats and a cat.", "A dog barks.", "Birds sing songs at dawn."]


@pytest.mark.parametrize("settings", [{}, {"k1": 1.5, "b": 0.75}, {"k1": 0, "b": 0}])
@pytest.mark.parametrize("query", ["cat", "the CAT barks", "cat cat dawn", "songs, songs; dog"])
def test_scores_are_those_of_the_formula(query: str, settings: dict[str, float]) -> None:
    hits = Bm25(**settings).index(passages(*TEXTS)).search([query], k=4)[0]
    expected = by_hand(TEXTS, query, **settings)
    assert {hit.place: pytest.approx(hit.score, rel=1e-5) for hit in hits} == {
        place: score for place, score in enumerate(expected) if score > 0
    }
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_queries_without_a_known_word_find_nothing() -> None:
    index = Bm25().index(passages(*TEXTS))
    assert index.search(["", "?!", "zebra", "cat"], k=1)[:3] == [[], [], []]
    assert index.search([], k=1) == []
    assert index.search(["cat"], k=0) == [[]]


def test_an_index_of_nothing_finds_nothing() -> None:
    for empty in ([], passages("..."), passages("", " ")):
        assert Bm25().index(empty).search(["cat", ""], k=3) == [[], []]


@given(
    st.lists(st.sampled_from(["cat", "dog", "cat dog", "bird", ""]), max_size=12), st.integers(1, 5)
)
def test_the_best_k_are_found_and_equal_scores_stand_by_place(texts: list[str], k: int) -> None:
    hits = Bm25().index(passages(*texts)).search(["cat bird"], k=k)[0]
    everything = Bm25().index(passages(*texts)).search(["cat bird"], k=len(texts) + 1)[0]
    assert hits == everything[:k]
    assert everything == sorted(everything, key=lambda hit: (-hit.score, hit.place))
    found = {place for place, text in enumerate(texts) if {"cat", "bird"} & set(text.split())}
    assert {hit.place for hit in everything} == found


def test_a_batch_finds_what_single_queries_find() -> None:
    index = Bm25().index(passages(*TEXTS))
    queries = ["cat", "dog barks", "", "dawn"]
    assert index.search(queries, 2) == [index.search([query], 2)[0] for query in queries]


def test_scores_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    code = (
        "from chains.retrieval import Bm25, Passage\n"
        f"index = Bm25().index([Passage(t, 'd', 0, len(t)) for t in {TEXTS!r}])\n"
        "print([(p, s.hex()) for p, s in index.search(['the cat and dog songs at dawn'], 4)[0]])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The CAT's ﬁsh, Straße 3.5", ["the", "cat", "s", "fish", "strasse", "3", "5"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("日本語とcat", ["日本", "本語", "語と", "cat"]),
        ("東", ["東"]),
        ("a\u2028b\x85c\x00d __ ", ["a", "b", "c", "d"]),
        ("👩\u200d👧 !?", []),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_takes_a_shorter_way_to_the_same_words(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]


def test_chinese_is_found_by_part_of_a_phrase() -> None:
    index = Bm25().index(passages("年假有二十天。", "病假需要医生证明。"))
    assert [hit.place for hit in index.search(["医生证明在哪里"], k=2)[0]] == [1]


def test_a_retriever_is_written_in_a_job_and_typos_are_named() -> None:
    assert RETRIEVERS.build({"kind": "bm25", "k1": 2}) == Bm25(k1=2)
    with pytest.raises(UsageError, match="write 'bm25'"):
        RETRIEVERS.build({"kind": "bm52"})
    with pytest.raises(UsageError, match="unknown key 'k'"):
        RETRIEVERS.build({"kind": "bm25", "k": 2})


def test_hits_are_plain_numbers() -> None:
    hit = Bm25().index(passages("cat")).search(["cat"], 1)[0][0]
    assert (type(hit), type(hit.place), type(hit.score)) == (Hit, int, float)


def test_a_kept_index_finds_what_a_new_one_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = OwnResources(folder=tmp_path)
    queries = ["the CAT barks", "songs at dawn", "zebra", ""]
    new = Bm25().index(passages(*TEXTS), kept).search(queries, 4)
    assert new == Bm25().index(passages(*TEXTS)).search(queries, 4)
    other = Bm25(k1=1.5).index(passages(*TEXTS), kept).search(queries, 4)
    assert other != new
    more = Bm25().index(passages(*TEXTS, "A cat."), kept).search(["cat"], 9)[0]
    assert 4 in {hit.place for hit in more}

    def refuse(text: str) -> list[str]:
        assert text in queries, "a passage was read again"
        return words(text)

    monkeypatch.setattr("chains.retrieval.bm25.words", refuse)
    assert Bm25().index(passages(*TEXTS), kept).search(queries, 4) == new


def test_a_damaged_index_of_words_is_made_again(tmp_path: Path) -> None:
    kept = OwnResources(folder=tmp_path)
    found = Bm25().index(passages(*TEXTS), kept).search(["cat"], 4)
    (file,) = tmp_path.rglob("data.npy")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"!")
    assert Bm25().index(passages(*TEXTS), kept).search(["cat"], 4) == found
    assert file.read_bytes() == content
