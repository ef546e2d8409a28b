"""Candidates of a base strategy, ranked by their log-probability; what all composites share."""

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from tiny_models import save_causal

from chains.calls import Call, Message, Model, Reply
from chains.decoding import STRATEGIES, Beam, BestOfN, Decoding, Greedy, Sample, Score
from chains.decoding.seeds import reply_seed
from chains.models import ModelSpec, open_model
from chains.models.scripted import ScriptedChat
from prompts.errors import UsageError

SEED = 7


def call(decoding: Decoding, text: str = "cat", seed: int = SEED) -> Call:
    return Call((Message("user", text),), decoding, seed)


def answers(model: Model, calls: Sequence[Call]) -> list[list[Reply]]:
    found = {index: replies for part in model.answer(calls) for index, replies in part}
    return [found[index] for index in range(len(calls))]


def by_seed(*replies: Reply) -> ScriptedChat:
    """Gives candidate k the k-th reply."""
    known = {reply_seed(SEED, number): reply for number, reply in enumerate(replies)}
    return ScriptedChat(script=lambda call: known[call.seed])


def reply(text: str, logprob: float | None, tokens: int, finish: Any = "stop") -> Reply:
    return Reply(text, finish, 1, tokens, logprob)


CANDIDATES = (
    reply("long", -6.0, 6),
    reply("short", -3.0, 2),
    reply("cut", -0.1, 4, "length"),
    Reply("", "error", error="out_of_memory: no"),
    reply("middle", -3.6, 4),
)


@pytest.mark.parametrize(
    ("settings", "order", "scores"),
    [
        ({}, ["middle", "long", "short"], [-0.9, -1.0, -1.5]),
        ({"by": "logprob"}, ["short", "middle", "long"], [-3.0, -3.6, -6.0]),
        (
            {"by": "length_normalised", "alpha": 0.5},
            ["middle", "short", "long"],
            [-3.6 / 2, -3 / 2**0.5, -6 / 6**0.5],
        ),
    ],
)
def test_the_likeliest_come_first_and_what_was_cut_or_failed_last(
    settings: dict[str, Any], order: list[str], scores: list[float]
) -> None:
    decoding = BestOfN(candidates=5, n=5, **settings)
    ((*found, cut, failed),) = answers(by_seed(*CANDIDATES), [call(decoding)])
    assert [each.text for each in found] == order
    assert [each.score for each in found] == pytest.approx(scores)
    assert (cut.text, cut.finish) == ("cut", "length")
    assert (failed.finish, failed.error) == ("error", "out_of_memory: no")


def test_equal_scores_keep_the_order_of_the_candidates() -> None:
    model = by_seed(*[reply(text, -2.0, 2) for text in "abcd"])
    assert answers(model, [call(BestOfN(candidates=4))])[0][0].text == "a"


def test_a_text_comes_once_before_it_comes_again() -> None:
    model = by_seed(*[reply(text, -float(at), 1) for at, text in enumerate("aab")])
    (found,) = answers(model, [call(BestOfN(candidates=3, n=3))])
    assert [each.text for each in found] == ["a", "b", "a"]


def test_where_all_fail_the_first_error_is_the_call_s() -> None:
    model = by_seed(*[Reply("", "error", error=f"failed: {at}") for at in range(3)])
    assert answers(model, [call(BestOfN(candidates=3, n=2))]) == [
        [Reply("", "error", error="failed: 0")]
    ]


def test_a_model_that_tells_no_log_probability_cannot_be_ranked_by_it() -> None:
    model = by_seed(reply("a", None, 1), reply("b", None, 1))
    ((found,),) = answers(model, [call(BestOfN(candidates=2))])
    assert found.error.startswith("no_logprob: ")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = save_causal(tmp_path_factory.mktemp("models") / "tiny")
    return open_model(ModelSpec(model=str(folder), dtype="float32"))


def test_candidates_are_independent_calls_of_the_base(tiny: Model) -> None:
    base = Sample(temperature=0.9)
    single = Sample(temperature=0.9, max_tokens=6)
    drawn = [answers(tiny, [call(single, seed=reply_seed(SEED, at))])[0][0] for at in range(5)]
    decoding = BestOfN(candidates=5, n=5, base=base, max_tokens=6)
    other = call(Greedy(max_tokens=6), "dog")
    ranked, (greedy,) = answers(tiny, [call(decoding), other])
    assert sorted(each.text for each in ranked) == sorted(each.text for each in drawn)
    assert greedy == answers(tiny, [other])[0][0]
    means = {each.text: each.logprob / each.completion_tokens for each in drawn if each.logprob}
    assert all(each.score == pytest.approx(means[each.text]) for each in ranked)


def test_a_beam_gives_all_candidates_in_one_search(tiny: Model) -> None:
    beam = Beam(num_beams=4, length_penalty=0.0)
    decoding = BestOfN(candidates=4, n=4, base=beam, by="logprob", max_tokens=6)
    (ranked,) = answers(tiny, [call(decoding)])
    wanted = answers(tiny, [call(Beam(num_beams=4, length_penalty=0.0, n=4, max_tokens=6))])[0]
    assert {each.text for each in ranked} == {each.text for each in wanted}


def test_settings_of_all_strategies_reach_the_candidates() -> None:
    asked: list[Decoding] = []

    def script(call: Call) -> str:
        asked.append(call.decoding)
        return "text"

    decoding = BestOfN(candidates=2, max_tokens=9, stop=("x",), base=Sample(top_p=0.5))
    answers(ScriptedChat(script=script), [call(decoding)])
    assert asked == [Sample(top_p=0.5, max_tokens=9, stop=("x",))] * 2


def test_a_resolved_job_can_be_read_again() -> None:
    decoding = STRATEGIES.build(
        {"strategy": "best_of_n", "max_tokens": 9, "base": {"strategy": "sample", "top_p": 0.5}}
    )
    assert STRATEGIES.build(decoding.model_dump(mode="json")) == decoding


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"candidates": 2, "n": 3}, "n 3 is above candidates 2"),
        ({"base": Greedy()}, "greedy has one reply only"),
        ({"base": BestOfN()}, "best_of_n draws no candidates"),
        ({"base": Score(target="a")}, "score draws no candidates"),
        ({"base": Sample(max_tokens=5)}, "max_tokens stands beside base, not in it"),
        ({"base": Sample(n=2)}, "n stands beside base"),
        ({"alpha": 0.5}, "alpha means nothing by mean_logprob"),
        ({"candidates": 1}, "greater than or equal to 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError, match=found):
        BestOfN(**settings)


def test_a_base_that_cannot_hold_the_candidates_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="n 8 is above num_beams 4") as caught:
        STRATEGIES.build({"strategy": "best_of_n", "base": {"strategy": "beam"}}, key="decoding")
    assert caught.value.key == "decoding.base"


def test_a_composite_strategy_works_under_langchain() -> None:
    chat = ScriptedChat(replies=("one", "two words", "three words more"))
    by = chat.bind(strategy="best_of_n", candidates=6, by="logprob", seed=3)
    assert by.invoke("cat").text in {"one", "two words"}
    assert by.batch(["cat", "dog"])[0].text == by.invoke("cat").text
