"""`evolve`: rounds, elimination by each rule, lineage, and what comes out where a step fails."""

from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row

from chains.calls import Call
from pipelines.rows import Rejection, Row
from pipelines.stages import Evolve
from pipelines.stages.diversity.elimination import fault_of_answer, fault_of_step
from prompts.errors import UsageError

PROMPTS = {
    name: "variables: {instruction: I.}\n"
    f"messages: [{{role: user, content: '{word}: {{{{ instruction }}}}'}}]"
    for name, word in (("deepen", "Deepen"), ("answer", "Answer"))
}
ANSWER = "It runs to the sea and carries sand with it."


def write(model: str, call: Call) -> str:
    """Each step says more than its parent; each answer is a sentence."""
    word, _, text = call.messages[-1].content.partition(": ")
    return ANSWER if word == "Answer" else f"{text[:-1]} and give reasons for number {len(text)}."


def evolved(script: Any = write, **settings: Any) -> list[Row | Rejection]:
    stage = Evolve.model_validate(
        {"name": "e", "model": "m", "field": "instruction", "operations": ["deepen"],
         "answer": "answer", **settings}
    )  # fmt: skip
    context = FakeContext(stage, script, prompts=PROMPTS)
    return outcomes(stage, [row({"instruction": "Describe a river."})], context)


FIRST = "Describe a river and give reasons for number 17."
SECOND = "Describe a river and give reasons for number 17 and give reasons for number 48."


def test_rounds_go_on_from_each_other_and_are_told() -> None:
    [kept] = evolved(rounds=2, adds="response")
    assert isinstance(kept, Row)
    assert (kept.id, kept.data["instruction"], kept.data["response"]) == ("r0", SECOND, ANSWER)
    assert [event["parent"] for event in kept.history] == ["Describe a river.", FIRST]
    assert len({event["seed"] for event in kept.history}) == 2


def test_all_steps_become_rows_of_the_family() -> None:
    found = evolved(rounds=2, keep="all", adds="response")
    assert [each.data["instruction"] for each in found if isinstance(each, Row)] == [
        "Describe a river.", FIRST, SECOND,
    ]  # fmt: skip
    assert {each.family for each in found if isinstance(each, Row)} == {"r0"}
    assert all(each.data["response"] == ANSWER for each in found if isinstance(each, Row))
    assert [len(each.history) for each in found if isinstance(each, Row)] == [0, 1, 2]


BAD = {
    "no_gain": "Describe a river!",
    "prompt_words": "Describe the given prompt about rivers with many more words.",
    "refusal": "I'm sorry, but I cannot help with that request.",
    "too_long": "Describe " + "wide and long " * 60 + "rivers.",
    "says_nothing": "It is as it was, and so are they.",
}


@pytest.mark.parametrize("reason", BAD)
def test_a_step_that_gains_nothing_is_taken_back(reason: str) -> None:
    def script(model: str, call: Call) -> str:
        return BAD[reason] if call.messages[-1].content.startswith("Deepen") else ANSWER

    [kept] = evolved(script, adds="response")
    assert isinstance(kept, Row)
    assert kept.data == {"instruction": "Describe a river.", "response": ANSWER}
    assert kept.history[-1]["taken_back"] == reason
    [refused] = evolved(script, failed="reject", attempts=2)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail["text"], refused.attempts) == (reason, BAD[reason], 2)
    assert reasons(evolved(script, keep="all")) == ["", reason]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Sorry, there is nothing I know of this.", "hard_to_answer"),
        ("As an AI language model, I have never seen a river.", "hard_to_answer"),
        ("... and so it is.", "says_nothing"),
    ],
)
def test_a_step_that_cannot_be_answered_is_taken_back(answer: str, reason: str) -> None:
    def script(model: str, call: Call) -> str:
        return answer if call.messages[-1].content.startswith("Answer") else write(model, call)

    [kept] = evolved(script)
    assert isinstance(kept, Row)
    assert kept.data == {"instruction": "Describe a river."}
    assert kept.history[-1]["taken_back"] == reason
    [refused] = evolved(script, adds="response")  # the original cannot be answered either
    assert isinstance(refused, Rejection)
    assert refused.reason == reason
    assert reasons(evolved(script, keep="all", adds="response")) == [reason, reason]


def test_sorry_in_a_long_answer_is_no_excuse() -> None:
    assert fault_of_answer("He said sorry. " + "The river went on. " * 20) is None
    assert fault_of_answer("Sorry. " + "The river went on. " * 3) is not None


def test_words_of_the_prompt_count_only_where_the_parent_has_them_not() -> None:
    text = "Improve the given prompt so that it names a river and a town."
    assert fault_of_step("Describe rivers.", text, 0.9) is not None
    assert fault_of_step("Improve the given prompt.", text, 0.9) is None


def test_a_step_too_near_to_its_parent_has_the_rouge_that_says_so() -> None:
    fault = fault_of_step("a b c d", "a b x c d", 0.85)
    assert fault is not None
    assert fault.detail == {"similarity": round(2 * 4 / 9, 4)}
    assert fault_of_step("a b c d", "a b x c d", 0.9) is None


def test_a_step_can_be_held_to_a_pattern() -> None:
    pattern = "Describe a river [a-z ]+\\."
    held = {
        **PROMPTS,
        "deepen": f"{PROMPTS['deepen']}\noutput: {{form: regex, pattern: '{pattern}'}}",
    }
    told = iter(["Tell me of a river in winter.", "Describe a river in winter.", ANSWER])
    stage = Evolve(
        name="e", model="m", field="instruction", operations=("deepen",), answer="answer"
    )
    context = FakeContext(stage, lambda model, call: next(told), prompts=held)
    [kept] = outcomes(stage, [row({"instruction": "Describe a river."})], context)
    assert isinstance(kept, Row)
    assert kept.data["instruction"] == "Describe a river in winter."
    assert kept.history[-1]["attempt"] == 1
    guides = [call.guides for ask in context.asked for call in ask.calls]
    assert [len(found) for found in guides] == [1, 1, 0]  # the answer is free
    assert guides[0][0].key()["source"] == pattern


def test_a_missing_prompt_is_found_before_a_run() -> None:
    job = FakeJob(prompts=PROMPTS, models=["m"], columns=["instruction"])
    stage = Evolve(name="e", model="m", field="instruction", operations=("no",), answer="answer")
    with pytest.raises(UsageError, match="unknown prompt 'no'") as caught:
        stage.check(job)  # type: ignore[arg-type]
    assert caught.value.key == "operations.0"
