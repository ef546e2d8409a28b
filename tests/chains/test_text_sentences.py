# ruff: noqa: RUF001 - full stops and quotation marks of several scripts are what is tested
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.text.sentences import cut_to_finished, finished, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He left. She stayed.", ["He left.", "She stayed."]),
        ("Dr. Ruiz paid 3.50 to Mr. J. Smith.", ["Dr. Ruiz paid 3.50 to Mr. J. Smith."]),
        (
            "In the U.S. Army. In the U.S. He left.",
            ["In the U.S. Army.", "In the U.S.", "He left."],
        ),
        (
            "At 5 p.m. we left. At 5 p.m. They stayed.",
            ["At 5 p.m. we left.", "At 5 p.m.", "They stayed."],
        ),
        ("Use e.g. tea, milk, etc. and stir.", ["Use e.g. tea, milk, etc. and stir."]),
        ("Is it? No. See Fig. 3 and No. 5.", ["Is it?", "No.", "See Fig. 3 and No. 5."]),
        ("Plan B. We go. Vitamin C helps.", ["Plan B.", "We go.", "Vitamin C helps."]),
        ('"Really?" he asked. "Go!" She went.', ['"Really?" he asked.', '"Go!"', "She went."]),
        ("Well... perhaps. Well... Perhaps.", ["Well... perhaps.", "Well...", "Perhaps."]),
        ("What?! Yes (sure.) Good.", ["What?!", "Yes (sure.)", "Good."]),
        ("See example.org or v2.0.1 now.", ["See example.org or v2.0.1 now."]),
        ("今日は晴れです。明日は？はい！", ["今日は晴れです。", "明日は？", "はい！"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("वह आता है। मैं भी।", ["वह आता है।", "मैं भी।"]),
        ("A heading\n\nA text. An end", ["A heading", "A text.", "An end"]),
        ("A wrapped\nline. Next.", ["A wrapped\nline.", "Next."]),
        ("1. Apples\n2. Pears are green.\n- Figs", ["1. Apples", "2. Pears are green.", "- Figs"]),
        ("hello. how are you", ["hello.", "how are you"]),
        ("42.", ["42."]),
        ("?! ...", []),
        ("", []),
    ],
)
def test_sentences_are_told_apart(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is.", True),
        ("It is", False),
        ("It is. And", False),
        ('He said "It is."', True),
        ("It is! 😀", True),
        ("It is (really)", False),
        ("はい。", True),
        ("The sum is 42.", True),
        ("42.", True),
        ("1. Apples\n2.", False),
        ("Meet Dr.", True),
        ("", False),
    ],
)
def test_finished_texts_are_known(text: str, expected: bool) -> None:
    assert finished(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is. And th", "It is."),
        ("It is.", "It is."),
        ("It is! 😀", "It is! 😀"),
        ("No end at all", ""),
        ("She left. He said “Stop. Then", "She left."),
        ('She left. He said "Stop. Then', "She left."),
        ('He said "Stop. Then', 'He said "Stop.'),  # no end leaves the quotation closed
        ("1. Apples are red.\n2. Pe", "1. Apples are red."),
        ("It costs 3.5", ""),
    ],
)
def test_an_unfinished_end_is_cut(text: str, expected: str) -> None:
    assert cut_to_finished(text) == expected


@given(st.text(alphabet="aB1.!?\"'“”。 \n()-", max_size=60))
def test_sentences_lose_nothing_but_white_space_and_marks(text: str) -> None:
    letters = [char for char in text if char.isalnum()]
    assert [char for part in sentences(text) for char in part if char.isalnum()] == letters
    assert text.startswith(cut_to_finished(text))
    assert cut_to_finished(cut_to_finished(text)) == cut_to_finished(text)


@pytest.mark.parametrize(
    "piece", [".", ". ", "a.", '"', "\n", ". a", "A. ", "1. ", " ", "\n- ", "。"]
)
def test_no_text_takes_long(piece: str) -> None:
    start = time.perf_counter()
    sentences(piece * 50_000)
    cut_to_finished(piece * 50_000)
    assert time.perf_counter() - start < 5
