"""`instances`: the label first for a classification, else the input first; labels are balanced."""

from collections import Counter

import pytest
from fakes import FakeContext, FakeJob, outcomes, row

from chains.calls import Call
from pipelines.rows import Rejection, Row
from pipelines.stages import Instances
from prompts.errors import UsageError


def prompt(word: str, names: str, output: str = "{form: text}") -> str:
    said = " | ".join(f"{{{{ {name} }}}}" for name in names.split())
    variables = ", ".join(f"{name}: V" for name in names.split())
    return (
        f"variables: {{{variables}}}\nmessages: [{{role: user, content: '{word}: {said}'}}]\n"
        f"output: {output}"
    )


PROMPTS = {
    "kind": prompt("Kind", "instruction", "{form: choice, choices: ['yes', 'no']}"),
    "labels": prompt("Labels", "instruction", "{form: lines}"),
    "labelled": prompt("Labelled", "instruction label"),
    "input": prompt("Input", "instruction"),
    "output": prompt("Output", "instruction input"),
}
REPLIES = {"Kind": "yes", "Labels": "- positive\n- negative\n- so long that it is no label at all",
           "Labelled": "The soup was cold.", "Input": "none.", "Output": "Elbe."}  # fmt: skip


def made(rows: int = 1, **replies: str) -> tuple[list[Row | Rejection], list[str]]:
    stage = Instances.model_validate(
        {"name": "i", "model": "m", **{f"{name}_prompt": name for name in PROMPTS}, "attempts": 2}
    )

    def script(model: str, call: Call) -> str:
        asked.append(call.messages[0].content)
        return {**REPLIES, **replies}[call.messages[0].content.partition(":")[0]]

    asked: list[str] = []
    context = FakeContext(stage, script, prompts=PROMPTS)
    seeds = [row({"instruction": "Sort it."}, id=f"r{n}") for n in range(rows)]
    return outcomes(stage, seeds, context), asked


def test_a_classification_gets_its_label_before_its_input() -> None:
    [kept], asked = made()
    assert isinstance(kept, Row)
    assert kept.data["labels"] == ["positive", "negative"]
    assert kept.data["input"] == "The soup was cold."
    assert asked[-1] == f"Labelled: Sort it. | {kept.data['output']}"
    assert kept.history[-1]["classification"] is True


def test_labels_come_out_in_about_equal_numbers() -> None:
    found, _ = made(rows=200)
    counts = Counter(each.data["output"] for each in found if isinstance(each, Row))
    assert set(counts) == {"positive", "negative"}
    assert 70 < counts["positive"] < 130  # 100 expected, with a standard deviation of 7


def test_another_instruction_gets_its_input_first_which_may_be_none() -> None:
    [kept], asked = made(Kind="no")
    assert isinstance(kept, Row)
    columns = ("input", "output", "labels")
    assert tuple(kept.data[name] for name in columns) == ("", "Elbe.", [])
    assert asked == ["Kind: Sort it.", "Input: Sort it.", "Output: Sort it. |"]
    _, asked = made(Kind="no", Input="A wet dog.")
    assert asked[-1] == "Output: Sort it. | A wet dog."


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ({"Kind": "maybe"}, "not_a_choice"),
        ({"Labels": "positive"}, "no_labels"),
        ({"Labelled": " "}, "empty_reply"),
        ({"Kind": "no", "Output": " "}, "empty_reply"),
    ],
)
def test_a_part_that_cannot_be_had_rejects_the_row(replies: dict[str, str], reason: str) -> None:
    [refused], _ = made(**replies)
    assert isinstance(refused, Rejection)
    assert refused.reason == reason


def test_other_choices_than_yes_and_no_are_refused() -> None:
    other = {**PROMPTS, "kind": PROMPTS["kind"].replace("'no'", "'never'")}
    job = FakeJob(prompts=other, models=["m"], columns=["instruction"])
    stage = Instances.model_validate({"model": "m", **{f"{n}_prompt": n for n in PROMPTS}})
    with pytest.raises(UsageError, match="other choices"):
        stage.check(job)  # type: ignore[arg-type]
