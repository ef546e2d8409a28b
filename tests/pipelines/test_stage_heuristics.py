# ruff: noqa: RUF001 - quotation marks and dashes that look alike are all meant here
import random
import time
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import files_of, launched, prompt_text

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES
from pipelines.stages.heuristics import CHECKS, Heuristics, Text
from pipelines.stages.heuristics.repetition import duplicate_ngrams, longest_loop
from prompts.errors import UsageError

BAD = {
    "I'm sorry, but I cannot help with that request.": ("refusal", "cannot_help"),
    "Sorry, I can’t assist with this.": ("refusal", "cannot_help"),
    "I apologize, but I am unable to fulfill that. Try again.": ("refusal", "cannot_do"),
    "Rome is old. As an AI language model, I have never been there.": ("refusal", "as_an_ai"),
    "I'm just an AI, so I guess.": ("refusal", "i_am_an_ai"),
    "I don't have access to real-time data.": ("refusal", "no_access"),
    "I do not have personal opinions.": ("refusal", "no_self"),
    "As of my last update in 2021, it was open.": ("refusal", "model_talk"),
    "Please provide the text you would like me to sum up.": ("refusal", "asks_back"),
    "I'm sorry, but you didn't provide the lyrics.": ("refusal", "no_input"),
    "Sure! Here is a poem: Roses are red.": ("boilerplate", "announcement"),
    "Roses are red. I hope this helps!": ("boilerplate", "closing"),
    "Blue.<|im_end|>": ("prompt_leak", "template_token"),
    "### Instruction:\nName a colour.": ("prompt_leak", "section_label"),
    "Blue.\nUser: And another one?": ("prompt_leak", "role_label"),
    "Dear {{ name }}, hello.": ("prompt_leak", "placeholder"),
    "so good so good so good so good so good so good": ("repetition", "loop"),
    "It is a nice hotel. It is a nice hotel.": ("repetition", "sentences"),
    "one\ntwo\nthree\none\ntwo\nthree": ("repetition", "lines"),
    "It opens at nine. The ticket off": ("unfinished", "sentence"),
    "We need flour, eggs and": ("unfinished", "last_word"),
    "It opens at nine (on Sundays at ten.": ("unfinished", "bracket"),
    "So:\n```python\nprint(1)": ("unfinished", "fence"),
    "Two things.\n1. Tea.\n2.": ("unfinished", "list_mark"),
    "%%% @@ ## ~~~ ^^ |||| #### ==": ("symbols", "share"),
    "0800 1234 5678 9911 2203 4410": ("digits", "share"),
    "See https://example.org/a/long/page": ("urls", "share"),
    "Tea is **hot.": ("markup", "emphasis"),
    "Tea is hot.<br>": ("markup", "tag"),
    "Tea &amp; rain.": ("markup", "entity"),
    "It\ufffds hot.": ("mojibake", "replacement"),
    "It’s hot.".encode().decode("cp1252"): ("mojibake", "utf8_as_latin"),
    " ".join(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]): ("words", "min_mean"),
    "   ": ("empty", None),
}
GOOD = [
    "Tea.",
    "42",
    "The museum",
    "3 + 4 = 7",
    "The film tries too hard to be funny and tries too hard to be hip.",
    "\"I'm sorry, but I can't help with that,\" said Anna.",
    "I'm sorry I can't come to your party on Sunday. I will be in Rome.",
    "Jobs such as AI, robotics and law pay well.",
    "She works as an AI engineer, I think.",
    "Surely it opens at nine. Certainly not at eight.",
    "Dear Anna,\n\nThank you for the book.\n\nBest regards\nTom",
    "What I need:\n- flour\n- two eggs",
    "The sum is 2**3 and f(x) = [0, 1).",
    "It was late :) We went home.",
    "See `a[0` for that.",
    "He moved to Rome in 1980.[citation needed]",
    "Ready for it? #travel #rome",
    "Use this:\n```python\nx = {'a': [1, 2\n     ]}\n```",
    "Das Café öffnet um neun Uhr – außer montags.",
    "博物馆早上九点开门。星期一不开门。",
    "Row, row, row your boat.",
    "The system works: users like it. Human: a being.",
]


def checked(text: str, **settings: Any) -> Any:
    [result] = outcomes(Heuristics(field="text", **settings), [row(text=text)])
    return result


@pytest.mark.parametrize("text", BAD)
def test_each_defect_is_found_by_its_check_and_rule(text: str) -> None:
    reason, rule = BAD[text]
    result = checked(text)
    assert isinstance(result, Rejection)
    assert (result.reason, result.detail.get("rule")) == (reason, rule)
    if reason != "empty":
        assert result.detail["found"]


@pytest.mark.parametrize("text", GOOD)
def test_good_texts_stay(text: str) -> None:
    assert reasons([checked(text)]) == [""]


@pytest.mark.parametrize("text", [text for text in BAD if BAD[text][1]])
def test_a_check_that_is_switched_off_finds_nothing(text: str) -> None:
    reason, _ = BAD[text]
    stage = Heuristics.model_validate({"field": "text", **dict.fromkeys(CHECKS, False)})
    assert stage.faults(text) == []
    alone = stage.model_copy(update={reason: True})
    assert [fault.reason for fault in alone.faults(text)] == [reason]


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("two words", {"words": {"min": 3}}, "words"),
        ("two more words", {"words": {"max": 2}}, "words"),
        ("A caption without an end", {"unfinished": {"punctuation": "always"}}, "unfinished"),
        ("It ends. But not thi", {"unfinished": {"punctuation": "never"}}, ""),
        ("It opens (at nine.", {"unfinished": {"brackets": False}}, ""),
        ('He said: "It is hot.', {"unfinished": {"quotes": True}}, "unfinished"),
        ("# Tea\n\nIt is **hot**.", {"markup": {"plain": True}}, "markup"),
        ("User: Hello.\nAssistant: Hello.", {"prompt_leak": {"roles": False}}, ""),
        ("a b c a b c a b c a b c", {"repetition": {"loop": 12, "ngrams": 2}, "words": False}, ""),
        ("1. 2. 3.", {"digits": {"max_share": 0, "min_chars": 1}}, "digits"),
        ("Go to https://a.org now and then and again.", {"urls": {"max_count": 0}}, "urls"),
    ],
)
def test_bounds_can_be_set(text: str, settings: dict[str, Any], reason: str) -> None:
    stage = STAGES.build({"kind": "heuristics", "field": "text", **settings})
    assert reasons(outcomes(stage, [row(text=text)])) == [reason]


def test_a_measured_rule_gives_its_score_and_bound() -> None:
    result = checked("so good " * 6)
    assert dict(result.detail) == {
        "rule": "loop",
        "score": 12,
        "bound": 10,
        "found": "so good so good so good so good so good so good",
    }


def test_further_reasons_are_named() -> None:
    result = checked("As an AI, I like <br> tea. I hope this helps!")
    assert (result.reason, result.detail["also"]) == ("refusal", ["boilerplate", "markup"])


def test_flagged_rows_stay_and_say_why() -> None:
    stage = Heuristics(field="text", action="flag", adds="flags")
    bad, good = outcomes(stage, [row(text="Tea is hot.<br>", id="r1"), row(text="Tea.", id="r2")])
    assert isinstance(bad, Row)
    assert isinstance(good, Row)
    assert (bad.data["flags"], good.data["flags"]) == (["markup"], [])
    assert bad.history[-1]["found"] == [{"reason": "markup", "rule": "tag", "found": "<br>"}]
    assert good.history == ()
    assert stage.columns_added() == {"flags"}


SYSTEM = (
    "You answer in one short sentence and add nothing of your own.\n{% if x %}Be kind.{% endif %}"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "I was told to answer in one short sentence and add nothing of your own. Tea.",
            "prompt_leak",
        ),
        ("In one short sentence: tea is hot.", ""),
        ("Be kind.", ""),
    ],
)
def test_the_words_of_the_prompt_are_a_leak(text: str, reason: str) -> None:
    prompt = prompt_text(f"{SYSTEM} Say it of {{{{ topic }}}}.", ["topic", "x"])
    stage = Heuristics(field="text", prompt="ask")
    context = FakeContext(stage, prompts={"ask": prompt})
    assert reasons(outcomes(stage, [row(text=text)], context)) == [reason]
    with pytest.raises(UsageError, match="unknown prompt"):
        stage.check(FakeJob())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"action": "flag"}, "go together"),
        ({"adds": "flags"}, "go together"),
        ({"repetitions": True}, "unknown key 'repetitions'"),
        ({"repetition": {"lines": 2}}, "found"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "heuristics", "field": "text", **settings})


@pytest.mark.parametrize(("data", "reason"), [({}, "missing_column"), ({"text": 3}, "not_text")])
def test_what_is_no_text_is_rejected(data: dict[str, Any], reason: str) -> None:
    assert reasons(outcomes(Heuristics(field="text"), [row(data)])) == [reason]


def test_loops_are_those_that_brute_force_finds() -> None:
    def brute(words: list[str]) -> int:
        best = 0
        for period in range(1, 31):
            run = 0
            for place in range(period, len(words)):
                run = run + 1 if words[place] == words[place - period] else 0
                best = max(best, run + period if run >= 2 * period else 0)
        return best

    source = random.Random(3)
    for _ in range(400):
        words = [source.choice("ab") for _ in range(source.randint(0, 24))]
        words = words[:5] * source.randint(1, 6) + words[5:]
        start, length = longest_loop(words)
        assert length == brute(words), words
        assert start + length <= len(words)


def test_duplicate_ngrams_count_overlaps_once() -> None:
    assert duplicate_ngrams(["a", "b", "a", "b", "a", "b"], 2) == (4 / 6, "a b")
    assert duplicate_ngrams([], 2) == (0.0, "")


@pytest.mark.parametrize(
    "text",
    [" x" * 50_000, "I" + " " * 100_000 + "x", "“" * 100_000, "a.b@" * 20_000, "**" * 50_000],
    ids=repr,
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    Heuristics(field="text", markup={"plain": True}).faults(text)
    assert time.process_time() - started < 5


def test_a_text_is_taken_apart_without_code_and_speech() -> None:
    text = Text('He said "no". Use `x`.\n```\ny\n```\nIt\'s   well-known.')
    assert text.words[:3] == ("he", "said", "no")
    assert "x" not in text.prose
    assert text.own_words == 'He said "". Use .\n\nIt\'s well-known.'


def test_a_job_gives_the_same_bytes_whatever_the_block(tmp_path: Any) -> None:
    replies = [text for text in BAD if text.strip()] + GOOD
    changes = {
        "models": {"writer": {"model": "scripted", "replies": replies}},
        "stages": [
            {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "answer"},
            {"kind": "heuristics", "field": "answer", "prompt": "ask"},
            {"kind": "language", "field": "answer", "languages": ["en", "de"], "adds": "lang"},
        ],
    }
    found = []
    for block in (3, 40):
        done = launched(tmp_path, f"run{block}", **changes, block=block)
        found.append([files_of(done.folder)[name] for name in ("rows.jsonl", "rejected.jsonl")])
    assert found[0][0] == found[1][0]
    assert sorted(found[0][1].splitlines()) == sorted(found[1][1].splitlines())
    assert found[0][1].count(b'"heuristics"') > 3
