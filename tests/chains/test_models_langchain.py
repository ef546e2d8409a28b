"""The LangChain face: batches under every composition, settings per call, errors of one row."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from pydantic import PrivateAttr

from chains.calls import Call, Message, Reply
from chains.decoding import Beam, Greedy, Sample
from chains.models import coalesce
from chains.models.chat import settings_for
from chains.models.coalesce import Coalescer
from chains.models.scripted import ScriptedChat, filler
from prompts.errors import ModelError, UsageError


class Watched(ScriptedChat):
    """A scripted model that writes down the batches it is given."""

    _batches: list[list[Call]] = PrivateAttr(default_factory=list)

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        self._batches.append(list(calls))
        yield from super().answer(calls)

    def sizes(self) -> list[int]:
        return [len(batch) for batch in self._batches]


def shout(call: Call) -> str:
    if "poison" in call.messages[-1].content:
        raise ValueError("bad row")
    return call.messages[-1].content.upper()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread may take longer than usual to hand in its call."""
    monkeypatch.setattr(coalesce, "PAUSE", 0.25)


@pytest.fixture
def model() -> Watched:
    return Watched(script=shout)


PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "say {word}")])
WORDS = [{"word": f"w{n}"} for n in range(8)]
SAID = [f"SAY W{n}" for n in range(8)]


def test_a_batch_is_one_batch(model: Watched) -> None:
    assert [m.content for m in model.batch(["a", "b", "c"] * 7)] == ["A", "B", "C"] * 7
    assert model.sizes() == [21]


def test_prompt_model_parser_is_one_batch(model: Watched) -> None:
    assert (PROMPT | model | StrOutputParser()).batch(WORDS) == SAID
    assert model.sizes() == [8]
    assert model._batches[0][0].messages == (
        Message("system", "Be brief."),
        Message("user", "say w0"),
    )


def test_parallel_branches_share_a_batch(model: Watched) -> None:
    chain = RunnableParallel(a=PROMPT | model, b=PROMPT | model.bind(seed=3))
    found = chain.batch(WORDS[:4])
    assert [row["a"].content for row in found] == SAID[:4]
    assert model.sizes() == [8]


def test_assign_and_lambdas_share_a_batch(model: Watched) -> None:
    chain = RunnablePassthrough.assign(said=PROMPT | model | StrOutputParser())
    assert [row["said"] for row in chain.batch(WORDS[:4])] == SAID[:4]
    direct = RunnableLambda(lambda row: model.invoke(row["word"]).content)
    assert direct.batch(WORDS[:4]) == ["W0", "W1", "W2", "W3"]
    assert model.sizes() == [4, 4]


def test_asynchronous_calls_share_a_batch(model: Watched) -> None:
    chain = PROMPT | model | StrOutputParser()
    assert asyncio.run(chain.abatch(WORDS)) == SAID
    assert model.sizes() == [8]


def test_calls_of_different_settings_share_a_batch(model: Watched) -> None:
    both = RunnableParallel(
        cold=model.bind(temperature=0), warm=model.bind(temperature=0.9, seed=5, stop=["!"])
    )
    both.invoke("hi")
    (calls,) = model._batches
    found = {call.decoding.strategy: call for call in calls}  # type: ignore[attr-defined]
    assert found["greedy"].decoding == Greedy()
    assert found["sample"].decoding == Sample(temperature=0.9, stop=("!",))
    assert found["sample"].seed == 5


def test_one_bad_row_is_one_error(model: Watched) -> None:
    found = model.batch(["a", "poison", "c"], return_exceptions=True)
    assert [found[0].content, found[2].content] == ["A", "C"]
    assert isinstance(found[1], ModelError)
    said = "the model did not reply: failed: ValueError: bad row"
    assert str(found[1]) == f"{said}; fix: mend what the error says, and call again"
    with pytest.raises(ModelError, match="bad row"):
        model.invoke("poison")


def test_usage_finish_reason_and_logprob_are_told(model: Watched) -> None:
    message = model.bind(max_tokens=2).invoke("one two three")
    assert message.content == "ONE TWO"
    assert message.usage_metadata == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert message.response_metadata["finish_reason"] == "length"
    assert message.response_metadata["logprob"] == -4.0


def test_n_replies_are_n_generations() -> None:
    result = ScriptedChat().generate([[HumanMessage("hi")]], temperature=1.0, n=3)
    assert len({generation.text for generation in result.generations[0]}) == 3


def test_conversations_keep_their_roles(model: Watched) -> None:
    model.invoke([SystemMessage("s"), HumanMessage("h"), AIMessage("a"), HumanMessage("again")])
    assert [m.role for m in model._batches[0][0].messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    with pytest.raises(UsageError, match="a message of type 'tool'"):
        model.invoke([ToolMessage("t", tool_call_id="1")])


@pytest.mark.parametrize(
    ("default", "given", "expected"),
    [
        (Greedy(), {}, Greedy()),
        (Greedy(), {"max_tokens": 9}, Greedy(max_tokens=9)),
        (Greedy(), {"temperature": 0.5}, Sample(temperature=0.5)),
        (Greedy(max_tokens=9), {"top_p": 0.5}, Sample(top_p=0.5, max_tokens=9)),
        (Sample(top_p=0.5), {"temperature": 0.7}, Sample(top_p=0.5, temperature=0.7)),
        (Sample(top_p=0.5), {"temperature": 0}, Greedy()),
        (Greedy(), {"strategy": "beam", "num_beams": 3}, Beam(num_beams=3)),
        (Greedy(), {"decoding": Beam(num_beams=3)}, Beam(num_beams=3)),
        (Greedy(), {"decoding": {"strategy": "beam"}, "max_tokens": 5}, Beam(max_tokens=5)),
    ],
)
def test_settings_by_name_choose_the_strategy(default: Any, given: Any, expected: Any) -> None:
    assert settings_for(default, given) == expected


def test_unknown_settings_name_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'temprature'; fix: write 'temperature'"):
        ScriptedChat().invoke("hi", temprature=0.3)
    with pytest.raises(UsageError, match="unknown decoding strategy 'beem'; fix: write 'beam'"):
        ScriptedChat().invoke("hi", strategy="beem")


def test_a_model_that_fails_for_all_tells_every_caller() -> None:
    class Broken(ScriptedChat):
        def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
            yield [(0, [Reply("fine", "stop")])]
            raise ModelError("the server refuses the key (401)")

    found = Broken().batch(["a", "b", "c"], return_exceptions=True)
    assert sum(isinstance(entry, ModelError) for entry in found) == 2


def test_the_coalescer_goes_on_after_a_failure_and_after_idling() -> None:
    state = {"broken": True}

    def answer(calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        if state["broken"]:
            raise ModelError("down")
        yield [(index, [Reply("up", "stop")]) for index in range(len(calls))]

    before = set(threading.enumerate())
    coalescer = Coalescer(answer, idle=0.05)
    one = Call((Message("user", "x"),), Greedy())
    with pytest.raises(ModelError, match="down"):
        coalescer.submit(one).result(timeout=10)
    state["broken"] = False
    assert coalescer.submit(one).result(timeout=10)[0].text == "up"
    workers = set(threading.enumerate()) - before
    assert workers
    for worker in workers:
        worker.join(timeout=10)
        assert not worker.is_alive()
    assert coalescer.submit(one).result(timeout=10)[0].text == "up"


def ask(model: ScriptedChat, text: str, seed: int = 0, **settings: Any) -> list[Reply]:
    call = Call((Message("user", text),), Sample(**settings), seed)
    ((_, replies),) = next(iter(model.answer([call])))
    return replies


def test_scripted_replies_are_chosen_by_messages_and_seed() -> None:
    model = ScriptedChat(replies=("Blue.", "Green.", "Red."))
    found = [ask(model, "Name a colour.", seed)[0].text for seed in range(40)]
    assert set(found) == {"Blue.", "Green.", "Red."}
    assert found == [ask(model, "Name a colour.", seed)[0].text for seed in range(40)]


def test_scripted_filler_differs_by_call_and_ends_its_sentences() -> None:
    found = [ask(ScriptedChat(), "x", seed)[0].text for seed in range(300)]
    assert len(set(found)) == 300
    assert all(text.endswith(".") and text[0].isupper() for text in found)
    assert filler(5) == filler(5)


def test_scripted_greedy_ignores_the_seed() -> None:
    calls = [Call((Message("user", "x"),), Greedy(), seed) for seed in (1, 2)]
    ((_, one), (_, two)) = next(iter(ScriptedChat().answer(calls)))
    assert one == two


def test_scripted_replies_obey_stop_max_tokens_and_window() -> None:
    model = ScriptedChat(replies=("one two three. four",), tokens=5)
    assert ask(model, "x", stop=(" three",))[0].text == "one two"
    assert ask(model, "x", max_tokens=3)[0] == Reply("one two three", "length", 1, 3, -6.0)
    assert ask(model, "a b c d e")[0].error == (
        "context_overflow: prompt has 5 tokens, the window holds 5"
    )


def test_a_script_may_give_whole_replies_and_sees_the_seed_of_each() -> None:
    model = ScriptedChat(script=lambda call: Reply(str(call.seed), "stop"))
    assert ask(model, "x", 9)[0] == Reply("9", "stop")
    assert len({reply.text for reply in ask(model, "x", 9, n=3)}) == 3


def test_scripted_fingerprints_tell_scripts_and_replies_apart() -> None:
    models = [ScriptedChat(), ScriptedChat(replies=("a",)), ScriptedChat(script=shout)]
    assert len({model.fingerprint for model in models}) == 3
