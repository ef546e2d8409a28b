import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import assert_line, textmill
from mistakes import write

from prompts import prompt as prompt_module

ASK: dict[str, Any] = {
    "notes": "Asks.",
    "variables": {"context": "The passage."},
    "messages": [{"role": "user", "content": "Text: {{ context }}\nOne question:"}],
    "examples": [{"values": {"context": "Tea is hot."}, "reply": "What is it that is so hot?"}],
}
LEAK = "its values are those of worked example 1, which shows the reply"
GEESE: dict[str, Any] = {
    "name": "geese",
    "values": {"context": "Twelve geese guard the orchard."},
    "reply": "How many geese guard the orchard?",
}


def prompt_file(folder: Path, *tests: dict[str, Any], name: str = "ask.yaml", **more: Any) -> None:
    text = yaml.safe_dump({**ASK, "tests": list(tests), **more}, sort_keys=False)
    (folder / name).write_text(text, encoding="utf-8")


def faults(folder: Path, *words: str, code: int) -> dict[str, tuple[list[str], list[str]]]:
    """What is wrong with the prompt and the reply of each case."""
    ended = textmill(folder, "prompts", "test", "ask.yaml", *words, "--json")
    assert ended.code == code, ended.err
    cases = json.loads(ended.out)["cases"]
    return {case["name"]: (case["prompt_faults"], case["reply_faults"]) for case in cases}


@pytest.mark.parametrize(
    ("asserted", "fault"),
    [
        ({"contains": ["geese", "goose"]}, 'contains: no "goose"'),
        ({"contains": "geese"}, ""),
        ({"excludes": "many"}, 'excludes: "many"'),
        ({"equals": " How many geese guard the orchard?\n"}, ""),
        ({"equals": "Who?"}, 'equals: not "Who?"'),
        ({"regex": r"^How .*\?$"}, ""),
        ({"regex": "^Who"}, 'regex: "^Who" is not found'),
        ({"min_words": 6, "max_words": 6}, ""),
        ({"min_words": 7}, "min_words: 6, at least 7"),
        ({"max_words": 5}, "max_words: 6, at most 5"),
        ({"schema": {"type": "object"}}, "schema: not JSON"),
        ({"schema": {"type": "object"}, "reply": '{"a": 1}'}, ""),
        (
            {"schema": {"required": ["b"]}, "reply": '{"a": 1}'},
            "schema: 'b' is a required property",
        ),
        ({"reply": "What is it that is so hot?"}, "repeats worked example 1"),
    ],
)
def test_a_reply_is_held_to_what_the_file_asserts(
    tmp_path: Path, asserted: dict[str, Any], fault: str
) -> None:
    prompt_file(tmp_path, {**GEESE, **asserted})
    found = faults(tmp_path, code=5 if fault else 0)
    assert found == {"geese": ([], [fault] if fault else [])}


@pytest.mark.parametrize(
    ("asserted", "fault"),
    [
        ({"prompt_contains": ["Text: Twelve", "question"]}, ""),
        ({"prompt_contains": "answer"}, 'prompt_contains: no "answer"'),
        ({"prompt_excludes": "Tea"}, 'prompt_excludes: "Tea"'),  # the worked example is shown
        ({"max_prompt_tokens": 25}, "max_prompt_tokens: 28 of 25"),
        ({"values": {"context": " tea is  HOT"}}, LEAK),
        ({"values": {"context": None}}, "a null value"),
    ],
)  # fmt: skip
def test_a_prompt_is_held_to_what_the_file_asserts(
    tmp_path: Path, asserted: dict[str, Any], fault: str
) -> None:
    prompt_file(tmp_path, {**GEESE, **asserted})
    found = faults(tmp_path, code=2 if fault else 0)["geese"][0]
    assert [text.split("; fix")[0] for text in found] == ([fault] if fault else [])


def test_a_model_replies_in_place_of_the_file_and_is_not_paid_twice(tmp_path: Path) -> None:
    prompt_file(tmp_path, {**GEESE, "max_words": 6}, {"values": {"context": "Ice."}, "name": "ice"})
    model = ("--model", "scripted", "--ledger", "ledger.sqlite")
    found = faults(tmp_path, *model, code=5)
    assert found["ice"] == ([], [])
    assert found["geese"][1][0].startswith("max_words: ")
    assert (tmp_path / "ledger.sqlite").exists()
    assert faults(tmp_path, *model, code=5) == found
    assert faults(tmp_path, *model, "--max-tokens", "3", code=5)["ice"][1] == ["cut at 3 tokens"]


def test_a_reply_has_to_be_one_that_the_output_form_reads(tmp_path: Path) -> None:
    prompt_file(tmp_path, {**GEESE, "reply": "yes"}, output={"form": "json"}, examples=[])
    assert faults(tmp_path, code=5) == {"geese": ([], ["no_json: Expecting value at character 0"])}


def test_rows_are_rendered_and_an_example_among_them_is_a_leak(tmp_path: Path) -> None:
    records = [{"context": "Ice."}, {"data": {"context": "Tea is hot."}}, {"contxt": "x"}]
    write(tmp_path, {"rows.jsonl": "".join(json.dumps(r) + "\n" for r in records)})
    prompt_file(tmp_path)
    found = faults(tmp_path, "--rows", "rows.jsonl", code=2)
    assert {name: prompt for name, (prompt, _) in found.items()} == {
        "row 1": [],
        "row 2": [LEAK],
        "row 3": ["no value for 'context'"],
    }
    assert list(faults(tmp_path, "--rows", "rows.jsonl", "-n", "1", code=0)) == ["row 1"]
    write(tmp_path, {"rows.jsonl": "[]\n"})
    ended = textmill(tmp_path, "prompts", "test", "ask.yaml", "--rows", "rows.jsonl")
    assert ended.code == 2
    assert_line(ended.err, "rows.jsonl:1: the line is not a JSON object; fix: ...")


def test_without_tests_the_worked_examples_are_rendered(tmp_path: Path) -> None:
    prompt_file(tmp_path)
    ended = textmill(tmp_path, "prompts", "test", "ask.yaml")
    assert ended.out == "example 1     26 words and marks  ok\n1 of 1 passed\n"
    prompt_file(tmp_path, examples=[])
    ended = textmill(tmp_path, "prompts", "test", "ask.yaml")
    assert ended.code == 2
    assert_line(ended.err, "ask.yaml: the prompt has no sample values; fix: add 'tests' ...")


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ({"values": {"contxt": 1}}, "values.contxt: unknown variable 'contxt'; fix: write ..."),
        ({"values": {}}, "values: the test has no value for 'context'; fix: add 'context: ...'..."),
        ({**GEESE, "regex": "("}, "regex: not a usable regular expression: ..."),
        ({**GEESE, "max_word": 1}, "max_word: unknown key 'max_word'; fix: ..."),
        ({**GEESE, "schema": {"type": "thing"}}, "schema: not a JSON Schema: ..."),
        ({**GEESE, "min_words": 3, "max_words": 2}, "max_words: no text has 3 to 2 words; ..."),
    ],
)  # fmt: skip
def test_a_test_that_cannot_be_is_found_when_the_file_is_read(
    tmp_path: Path, test: dict[str, Any], line: str
) -> None:
    prompt_file(tmp_path, test)
    ended = textmill(tmp_path, "prompts", "test", "ask.yaml")
    assert ended.code == 2
    assert_line(ended.err, f"ask.yaml:... tests.0.{line}")


def test_variants_are_listed_below_their_prompt(tmp_path: Path) -> None:
    for name in ("ask.yaml", "ask@short.yaml", "lone@x.yaml"):
        prompt_file(tmp_path, name=name)
    write(tmp_path, {"job.yaml": "stages: []\nmessages: []\n", "bad.yaml": "messages: 3\n"})
    ended = textmill(tmp_path, "prompts", "list", ".")
    assert [line.split("  ")[0] or line.split()[0] for line in ended.out.splitlines()] == [
        "ask.yaml", "@short", "lone@x.yaml",
    ]  # fmt: skip
    assert ended.err.startswith("warning: bad.yaml:1: messages: ")
    records = json.loads(textmill(tmp_path, "prompts", "list", ".", "--json").out)
    assert [record.get("variant_of") for record in records] == [None, "ask.yaml", "lone.yaml"]
    whole = textmill(tmp_path, "prompts", "list").out
    assert "\nrewrite/paraphrase " in whole
    assert "\n  @question " in whole


def test_two_prompts_differ_part_by_part(tmp_path: Path) -> None:
    prompt_file(tmp_path)
    prompt_file(tmp_path, {**GEESE, "max_words": 9}, name="ask@short.yaml", notes="Asks briefly.")
    ended = textmill(tmp_path, "prompts", "diff", "ask.yaml", "@short")
    lines = ended.out.splitlines()
    assert lines[0].startswith("--- ask.yaml@")
    assert lines[1].startswith("+++ ask@short.yaml@")
    assert lines[3:5] == ["notes", "    [-Asks.-]{+Asks briefly.+}"]
    assert lines[6] == "tests.0"
    parts = json.loads(textmill(tmp_path, "prompts", "diff", "ask.yaml", "@short", "--json").out)
    assert parts["parts"]["notes"] == [["out", "Asks."], ["in", "Asks briefly."]]
    same = textmill(tmp_path, "prompts", "diff", "ask.yaml", "ask.yaml")
    assert same.err == "they say the same\n"


def test_a_new_prompt_passes_its_own_test_and_a_variant_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "prompts/library"
    monkeypatch.setattr(prompt_module, "LIBRARY", library)
    monkeypatch.setattr("pipelines.lab.prompt_files.LIBRARY", library)
    assert textmill(tmp_path, "prompts", "new", "mine.yaml").out == "mine.yaml\n"
    ended = textmill(tmp_path, "prompts", "test", "mine.yaml")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "1 of 1 passed")
    assert textmill(tmp_path, "prompts", "new", "task/one", "--from", "mine.yaml").code == 0
    assert textmill(tmp_path, "prompts", "new", "task/one@short").code == 0
    copied = (library / "task/one@short.yaml").read_bytes()
    assert copied == (tmp_path / "mine.yaml").read_bytes()
    assert textmill(tmp_path, "prompts", "show", "task/one@short").code == 0


def test_promoting_swaps_the_text_in_and_keeps_the_old_one(tmp_path: Path) -> None:
    prompt_file(tmp_path)
    prompt_file(tmp_path, name="ask@short.yaml", notes="Asks briefly.")
    old, new = ((tmp_path / name).read_bytes() for name in ("ask.yaml", "ask@short.yaml"))
    ended = textmill(tmp_path, "prompts", "promote", "ask@short.yaml")
    assert (ended.code, ended.out) == (
        0,
        "ask.yaml says what ask@short.yaml says; what it said before is ask@before.yaml\n",
    )
    assert (tmp_path / "ask.yaml").read_bytes() == new
    assert (tmp_path / "ask@short.yaml").read_bytes() == new
    assert (tmp_path / "ask@before.yaml").read_bytes() == old
    back = textmill(tmp_path, "prompts", "promote", "ask@before.yaml", "--keep", "@second")
    assert back.code == 0
    assert (tmp_path / "ask.yaml").read_bytes() == old


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ask.yaml",), "'ask.yaml' is not a variant; fix: name one of its variants, such as ..."),
        (("ask@none.yaml",), "prompt 'ask@none.yaml': no such file; fix: check the path"),
        (("ask@same.yaml",), "'ask@same.yaml' and 'ask.yaml' say the same; fix: nothing to do"),
        (("ask@more.yaml",), "'ask@more.yaml' needs 'birds', which 'ask.yaml' has not; fix: ..."),
        (("ask@lines.yaml",), "'ask@lines.yaml' has another output than 'ask.yaml'; fix: ..."),
        (("ask@short.yaml", "--keep", "old"), "--keep: 'old' is no variant; fix: ..."),
        (
            ("ask@short.yaml", "--keep", "@same"),
            "ask@same.yaml: there is one already; fix: keep the old text under another name: ...",
        ),
    ],
)
def test_what_does_not_fit_is_not_promoted(
    tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    prompt_file(tmp_path)
    before = (tmp_path / "ask.yaml").read_bytes()
    prompt_file(tmp_path, name="ask@same.yaml")
    prompt_file(tmp_path, name="ask@short.yaml", notes="Asks briefly.")
    prompt_file(tmp_path, name="ask@more.yaml", variables={**ASK["variables"], "birds": "which"})
    prompt_file(tmp_path, name="ask@lines.yaml", output={"form": "lines"})
    ended = textmill(tmp_path, "prompts", "promote", *words)
    assert (ended.code, ended.out) == (2, "")
    assert_line(ended.err, line)
    assert (tmp_path / "ask.yaml").read_bytes() == before
    assert not (tmp_path / "ask@before.yaml").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("new", "ask.yaml"), "ask.yaml: there is one already; fix: edit it, or give another name"),
        (("new", "Ask"), "'Ask' cannot name a prompt; fix: ..."),
        (("new", "none@x.yaml"), "prompt 'none.yaml': no such file; fix: ..."),
        (("list", "nowhere"), "nowhere: no such folder; fix: ..."),
        (("diff", "ask.yaml", "@none"), "prompt 'ask@none.yaml': no such file; fix: ..."),
        (("test", "qa/qestion"), "unknown prompt 'qa/qestion'; fix: write 'qa/question' ..."),
    ],
)
def test_mistakes_name_the_mend(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    prompt_file(tmp_path)
    ended = textmill(tmp_path, "prompts", *words)
    assert ended.code == 2
    assert_line(ended.err, line)
