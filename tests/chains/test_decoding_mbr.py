"""Minimum Bayes risk: utilities against values of sacrebleu, and the vote by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from chains.calls import Call, Message, Reply
from chains.decoding import MinimumBayesRisk
from chains.decoding.seeds import reply_seed
from chains.decoding.utility import chrf, embedding, token_f1
from chains.embedding import fingerprint, open_embedder
from chains.models.scripted import ScriptedChat

SEED = 5


def winners(texts: list[str], finish: str = "", **settings: object) -> list[Reply]:
    """The replies to a call whose candidates are `texts`; those in `finish` were cut."""
    known = {reply_seed(SEED, number): text for number, text in enumerate(texts)}

    def script(call: Call) -> Reply:
        text = known[call.seed]
        if text == "ERROR":
            return Reply("", "error", error="failed: by itself")
        return Reply(text, "length" if text == finish else "stop", 1, 1)

    decoding = MinimumBayesRisk(candidates=len(texts), **settings)  # type: ignore[arg-type]
    call = Call((Message("user", "cat"),), decoding, SEED)
    ((_, replies),) = next(iter(ScriptedChat(script=script).answer([call])))
    return replies


@pytest.mark.parametrize(
    ("hypothesis", "reference", "score"),
    [
        # sacrebleu 2.6.0, CHRF().sentence_score(hypothesis, [reference])
        ("A cat sleeps.", "The cat sleeps.", 73.49961553790902),
        ("The cat sleeps.", "A cat sleeps.", 83.67574767000599),
        ("abc", "abd", 38.888888888888886),
        (
            "Un chien court dans la neige.",
            "Un chien brun court sur la neige fraîche.",
            43.6074235833126,
        ),
        ("a", "abcdefgh", 15.151515151515152),
        ("xyz", "abc", 0.0),
        ("Two dogs play.", "Two dogs play.", 100.0),
        ("ab cd ef", "abcdef", 100.0),
    ],
)
def test_chrf_is_that_of_sacrebleu(hypothesis: str, reference: str, score: float) -> None:
    assert 100 * chrf([hypothesis, reference])[0, 1] == pytest.approx(score, abs=1e-9)


def test_token_f1_counts_shared_words_and_marks() -> None:
    found = token_f1(["A cat, a dog.", "a CAT", "bird", ""])
    assert found[0].tolist() == pytest.approx([1.0, 2 * 2 / 8, 0.0, 0.0])
    assert found[3].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert np.array_equal(found, found.T)


def test_cosines_are_those_of_the_embedder() -> None:
    texts = ["a cat", "a cat sat", "Zwölf Boxkämpfer"]
    vectors = open_embedder("scripted").encode(texts)
    assert embedding(texts, "scripted") == pytest.approx(vectors @ vectors.T, abs=1e-6)


def test_the_candidate_closest_to_all_others_wins() -> None:
    texts = ["a b", "a b c", "a b c d", "x"]
    best, *_ = winners(texts, utility="token_f1", n=2)
    assert best.text == "a b c"
    assert best.score == pytest.approx((4 / 5 + 6 / 7 + 0) / 3)


def test_equal_candidates_vote_for_each_other_and_come_once() -> None:
    found = winners(["x", "a b", "a c", "x"], utility="token_f1", n=4)
    assert [each.text for each in found] == ["x", "a b", "a c", "x"]
    scores = {each.text: each.score for each in found}
    assert scores == pytest.approx({"x": 1 / 3, "a b": 0.5 / 3, "a c": 0.5 / 3})


def test_ties_go_to_the_first_candidate() -> None:
    assert winners(["b a", "a b"], utility="token_f1")[0].text == "b a"


def test_what_was_cut_is_no_reference_and_comes_behind() -> None:
    found = winners(["a b c", "x", "a b c d e", "x"], finish="x", utility="token_f1", n=4)
    assert [each.text for each in found[:2]] == ["a b c", "a b c d e"]
    assert found[0].score == pytest.approx(6 / 8)
    assert [(each.text, each.score) for each in found[2:]] == [("x", 0.0), ("x", 0.0)]


def test_where_all_were_cut_they_are_compared_with_each_other() -> None:
    found = winners(["x", "x"], finish="x", utility="token_f1")
    assert (found[0].finish, found[0].score) == ("length", 1.0)


def test_failed_candidates_have_no_vote() -> None:
    found = winners(["ERROR", "a b", "ERROR", "a c"], utility="token_f1", n=4)
    assert [each.text for each in found] == ["a b", "a c", "", ""]
    assert [each.score for each in found] == [0.5, 0.5, None, None]


def test_the_embedder_decides_and_is_part_of_the_stage_s_fingerprint() -> None:
    found = winners(["a cat", "a cats", "unlike"], utility="embedding", embedder="scripted")
    assert found[0].text in {"a cat", "a cats"}
    decoding = MinimumBayesRisk(utility="embedding", embedder="scripted")
    assert decoding.fingerprint() == fingerprint("scripted")
    assert MinimumBayesRisk().fingerprint() == ""


def test_an_embedder_without_the_utility_is_refused() -> None:
    with pytest.raises(ValidationError, match="write utility: embedding"):
        MinimumBayesRisk(embedder="scripted")
