import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cleaning import Cleaning


@pytest.mark.parametrize(
    ("text", "expected", "changed"),
    [
        (
            'Sure! Here is a question:\n\n**Question:** "When?" I hope th',
            "When?",
            "boilerplate quotes ending",
        ),
        ("Sure, here's a paraphrase of the sentence:\n\nIt sat.", "It sat.", "boilerplate"),
        ("Certainly! Below is the text: It sat.", "It sat.", "boilerplate"),
        ("Sure, I'd be happy to help! Here is one:\nIt sat.", "It sat.", "boilerplate"),
        ("Here is the rewritten sentence: It sat.", "It sat.", "boilerplate"),
        ("Of course!\nIt sat.", "It sat.", "boilerplate"),
        ("Paraphrased sentence: It sat.", "It sat.", "boilerplate"),
        ("**Answer**: It sat.", "It sat.", "boilerplate"),
        ("Assistant: It sat.\nUser: And?", "It sat.", "boilerplate"),
        ("Why?\nAnswer: Because.", "Why?", "boilerplate"),
        ("It sat.<|im_end|>\n<|im_start|>user\nMore.", "It sat.", "boilerplate"),
        ("It sat. I hope this helps!", "It sat.", "boilerplate"),
        ("It sat. Let me know if you have any questions.", "It sat.", "boilerplate"),
        ("The answer: 42.", "42.", "boilerplate"),
        ("1. Who sat?", "Who sat?", "markup"),
        ("- It sat.", "It sat.", "markup"),
        ("**It sat.**", "It sat.", "markup"),
        ("```text\nIt sat.\n```", "It sat.", "markup"),
        ("```\nIt sat.", "It sat.", "markup"),
        ("“It sat.”", "It sat.", "quotes"),
        ("'It's there.'", "It's there.", "quotes"),
        ('"It sat.', "It sat.", "quotes"),
        ("It sat. Then it", "It sat.", "ending"),
        ("It\u00a0 sat.\r\n\r\n\r\n\r\nIt\u200b  slept. ", "It sat.\n\nIt slept.", "whitespace"),
        ("Code:\n    x = 1.", "Code:\n    x = 1.", ""),
    ],
)
def test_what_surrounds_a_text_is_taken_off(text: str, expected: str, changed: str) -> None:
    cleaned = Cleaning().clean(text)
    assert cleaned.text == expected
    assert " ".join(cleaned.changed) == changed


@pytest.mark.parametrize(
    "text",
    [
        "Here are the steps: open the door.",
        "Okay. I agree.",
        "I hope this email finds you well.",
        "Let me know if you can come.",
        "Let me know if you have any questions.",  # the text is nothing else
        '"Go," he said. "Now."',
        "1. Who?\n2. Why?",
        "# Title\n\nText.",
        "(555) 123-4567 is the number.",
        "```python\nx = 1\n```\nIt is one.",
        "3 times 4 is 12.\n\nAnswer: 12.",
        "A: Hello.\nB: Hello.",
        "User: Hello.\nAssistant: Hello.",
        'The pipe is 5".',
        "Asked why: no answer.",
        "AIDS: a history.",
    ],
)
def test_what_belongs_to_a_text_stays(text: str) -> None:
    assert Cleaning().clean(text) == (text, ())


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ("whitespace", "It  sat."),
        ("markup", "**It sat.**"),
        ("boilerplate", "Answer: It sat."),
        ("quotes", '"It sat."'),
        ("ending", "It sat. Then"),
    ],
)
def test_every_operation_can_be_switched_off(switch: str, text: str) -> None:
    assert Cleaning().clean(text) == ("It sat.", (switch,))
    assert Cleaning.model_validate({switch: False}).clean(text) == (text, ())


def test_inches_are_no_quotation() -> None:
    assert Cleaning(ending=False).clean('A pipe of 5"') == ('A pipe of 5"', ())
    assert Cleaning(ending=False).clean('A pipe of lead"') == ("A pipe of lead", ("quotes",))


@pytest.mark.parametrize("text", ["", " \n", "Question:", '""', "No end"])
def test_a_text_may_be_nothing_but_wrapping(text: str) -> None:
    assert Cleaning().clean(text).text == ""


@given(st.text(max_size=80) | st.text(alphabet="a.?:\"'*`# \n1-A", max_size=40))
def test_cleaning_is_finished_and_invents_nothing(text: str) -> None:
    once = Cleaning().clean(text).text
    assert once == once.strip()
    assert set(once) <= {*text, " ", "\n"}


@pytest.mark.parametrize(
    "piece", ["\n", "```\n", "*a", "* a\n", '"', "sure ", "a: ", "\nuser", "<|a|>", "'a", "Sure! "]
)
@pytest.mark.parametrize("whitespace", [True, False])
def test_no_text_takes_long(piece: str, whitespace: bool) -> None:
    start = time.perf_counter()
    Cleaning(whitespace=whitespace).clean(piece * 20_000)
    assert time.perf_counter() - start < 5
