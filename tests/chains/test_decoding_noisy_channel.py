"""Noisy channel: scores counted out by hand, the calls that give the terms, and a real pair."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from chains.calls import Call, Message, Reply
from chains.decoding import NoisyChannel, Score
from chains.decoding.noisy_channel import CHANNEL_SYSTEM, Terms, rerank
from chains.decoding.plans import by_names
from chains.decoding.seeds import reply_seed
from chains.models import ModelSpec, open_model
from chains.models.scripted import ScriptedChat
from prompts.errors import UsageError

SEED = 5
CHAT = (Message("system", "Translate."), Message("user", "un chat dort"))
DIRECT = {"a cat": (-1.0, 2), "a cat sleeps": (-3.0, 3), "a dog": (-2.0, 2)}
CHANNEL = {"a cat": -9.0, "a cat sleeps": -1.5, "a dog": -12.0}
LANGUAGE = {"a cat": -3.0, "a cat sleeps": -4.5, "a dog": -3.0}
SOURCE_TOKENS = 3


class Oracle:
    """Answers from the tables above and remembers what was asked."""

    def __init__(self) -> None:
        self.scored: list[Call] = []

    def __call__(self, call: Call) -> Reply:
        if not isinstance(call.decoding, Score):
            texts = {reply_seed(SEED, at): text for at, text in enumerate(DIRECT)}
            text = texts[call.seed]
            return Reply(text, "stop", 5, DIRECT[text][1], DIRECT[text][0])
        self.scored.append(call)
        target, prompt = call.decoding.target, call.messages[-1].content
        if call.messages == CHAT:
            return Reply(target, "stop", 5, DIRECT[target][1], DIRECT[target][0])
        if prompt in CHANNEL:
            assert target == "un chat dort"
            return Reply(target, "stop", 4, SOURCE_TOKENS, CHANNEL[prompt])
        assert prompt == ""
        return Reply(target, "stop", 1, 9, LANGUAGE[target])


def by_hand(text: str, channel_weight: float = 1.0, lm_weight: float = 0.3) -> float:
    logprob, tokens = DIRECT[text]
    behind = channel_weight * CHANNEL[text] + lm_weight * LANGUAGE[text]
    return logprob / tokens + behind / SOURCE_TOKENS


def test_the_terms_are_weighted_and_divided_by_the_lengths() -> None:
    terms = Terms(-6.0, -8.0, -12.0, reply_tokens=3, source_tokens=4)
    assert terms.score(0.5, 0.25) == pytest.approx(-6 / 3 + (0.5 * -8 + 0.25 * -12) / 4)


@pytest.mark.parametrize(("channel", "lm"), [(1.0, 1.0), (0.01, 0.0), (0.5, 2.0)])
def test_candidates_are_ranked_by_the_channel_s_score(channel: float, lm: float) -> None:
    decoding = NoisyChannel(candidates=3, n=3, channel_weight=channel, lm_weight=lm)
    model = ScriptedChat(script=Oracle())
    found = [each for part in model.answer([Call(CHAT, decoding, SEED)]) for each in part]
    ((_, replies),) = found
    wanted = {text: by_hand(text, channel, lm) for text in DIRECT}
    assert [each.text for each in replies] == sorted(wanted, key=lambda text: -wanted[text])
    assert [each.score for each in replies] == pytest.approx(sorted(wanted.values(), reverse=True))
    assert [each.logprob for each in replies] == [DIRECT[each.text][0] for each in replies]


def test_each_text_costs_one_call_a_term() -> None:
    oracle = Oracle()
    twice = [Reply(text, "stop", 5, *reversed(DIRECT[text])) for text in DIRECT for _ in range(2)]
    ask = by_names({"": ScriptedChat(script=oracle).answer})
    rerank(ask, CHAT, twice, NoisyChannel())
    assert len(oracle.scored) == 6
    system = Message("system", CHANNEL_SYSTEM)
    first = (system, Message("user", "a cat"))
    assert oracle.scored[0] == Call(first, Score(target="un chat dort"))
    assert oracle.scored[1] == Call((Message("user", ""),), Score(target="a cat"))


def test_bare_texts_are_ranked_like_replies() -> None:
    ask = by_names({"": ScriptedChat(script=Oracle()).answer})
    ranked = rerank(ask, CHAT, list(DIRECT), NoisyChannel())
    assert [each.text for each in ranked] == ["a cat sleeps", "a cat", "a dog"]
    assert [each.score for each in ranked] == pytest.approx([by_hand(r.text) for r in ranked])


def test_other_models_may_give_the_terms() -> None:
    direct, back, language = Oracle(), Oracle(), Oracle()
    names = {"": direct, "back": back, "language": language}
    ask = by_names({name: ScriptedChat(script=each).answer for name, each in names.items()})
    settings = NoisyChannel(channel_model="back", lm_model="language", channel_system="")
    ranked = rerank(ask, CHAT, list(DIRECT), settings)
    assert ranked[0].text == "a cat sleeps"
    assert [call.messages for call in direct.scored] == [CHAT] * 3
    assert {call.messages for call in back.scored} == {(Message("user", t),) for t in DIRECT}
    assert [call.messages[0].content for call in language.scored] == [""] * 3
    assert settings.models() == {"channel_model": "back", "lm_model": "language"}


def test_one_model_alone_refuses_the_name_of_another() -> None:
    decoding = NoisyChannel(candidates=3, channel_model="back")
    with pytest.raises(UsageError, match="no model 'back' is at hand") as caught:
        list(ScriptedChat(script=Oracle()).answer([Call(CHAT, decoding, SEED)]))
    assert "use the strategy in a job" in str(caught.value)


def test_the_prompt_of_the_channel_is_a_template() -> None:
    oracle = Oracle()
    settings = NoisyChannel(channel_prompt="Translate back: {{reply}}", channel_system="")
    calls = next(settings.scored(Call(CHAT, settings), [Reply(r"a \1 cat", "stop", 5, 2, -1.0)]))
    assert calls[0][1].messages == (Message("user", r"Translate back: a \1 cat"),)
    assert not oracle.scored


@pytest.mark.parametrize(
    ("after", "content", "source"),
    [
        ("", "To French: a cat", "To French: a cat"),
        ("French:", "To French: a cat", "a cat"),
        ("French:", "a cat", "a cat"),
    ],
)
def test_the_source_is_the_last_user_message_or_a_part_of_it(
    after: str, content: str, source: str
) -> None:
    chat = (Message("user", "no"), Message("assistant", "no"), Message("user", content))
    assert NoisyChannel(source_after=after).source(chat) == source
    assert NoisyChannel().source((Message("assistant", "only"),)) == "only"


def test_a_candidate_whose_terms_fail_comes_last() -> None:
    def script(call: Call) -> Reply:
        if call.messages[-1].content == "a cat sleeps":
            return Reply("", "error", error="context_overflow: too long")
        return Oracle()(call)

    ask = by_names({"": ScriptedChat(script=script).answer})
    ranked = rerank(ask, CHAT, list(DIRECT), NoisyChannel())
    assert [each.text for each in ranked] == ["a cat", "a dog", ""]
    assert ranked[-1].error == "context_overflow: too long"


def test_a_prompt_without_the_reply_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"the channel's prompt needs \{\{ reply \}\}"):
        NoisyChannel(channel_prompt="Translate back.")


def test_a_translation_that_leaves_words_out_is_found_out(test_data: Path) -> None:
    folder = test_data / "models"
    there, back = (
        open_model(ModelSpec(model=str(folder / f"marian-multi30k-{pair}"), dtype="float32"))
        for pair in ("en-fr", "fr-en")
    )
    ask = by_names({"": there.answer, "back": back.answer})
    chat = (Message("user", "Two dogs play in the snow with a red ball."),)
    texts = ["Deux chiens jouent.", "Deux chiens jouent dans la neige avec un ballon rouge."]
    ranked = rerank(ask, chat, texts, NoisyChannel(channel_model="back"))
    assert [each.text for each in ranked] == texts[::-1]
    gap = (ranked[0].score or 0) - (ranked[1].score or 0)
    assert gap > 1
