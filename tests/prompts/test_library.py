"""The prompts that are shipped: complete, without warnings, and safe for a small model's window."""

import json
from pathlib import Path
from typing import Any

import pytest

from prompts.prompt import LIBRARY, Prompt, list_prompts, load_prompt

REPOSITORY = Path(__file__).resolve().parents[2]
VARIABLES = {
    "classify/sentiment": {"text"},
    "classify/sentiment@film": {"text"},
    "classify/sentiment@one_word": {"text"},
    "classify/text": {"text", "labels"},
    "code/function": {"name", "parameters", "task"},
    "conversation/assistant": {"message"},
    "conversation/user": {"topic", "turns"},
    "entity/sentences": {"person", "organisation", "place", "event"},
    "evolve/breadth": {"instruction"},
    "evolve/concretise": {"instruction"},
    "evolve/concretise@everyday": {"instruction"},
    "evolve/constrain": {"instruction"},
    "evolve/deepen": {"instruction"},
    "evolve/reason": {"instruction"},
    "improve/rewrite": {"failures", "instruction", "variables"},
    "instance/input": {"instruction"},
    "instance/input_for_label": {"instruction", "label"},
    "instance/is_classification": {"instruction"},
    "instance/labels": {"instruction"},
    "instance/output": {"instruction", "input"},
    "instruction/answer": {"instruction"},
    "instruction/answer@plain": {"instruction"},
    "instruction/new": {"instruction"},
    "instruction/new@everyday": {"instruction"},
    "instruction/self_instruct": set(),
    "instruction/self_instruct@everyday": set(),
    "judge/pair": {"task", "first", "second"},
    "judge/rubric": {"text", "rubric"},
    "label/film_review": {"aspect", "label", "strength", "topic"},
    "label/news": {"place", "section", "topic"},
    "label/question": {"opening", "topic"},
    "persona/question": {"persona", "subject"},
    "persona/question@before": {"persona", "subject"},
    "persona/write": {"traits"},
    "qa/answer": {"context", "question"},
    "qa/answer@document": {"context", "question"},
    "qa/multihop": {"context", "related", "bridge"},
    "qa/question": {"context"},
    "qa/question@document": {"context"},
    "qa/question@fact": {"context"},
    "reasoning/solve": {"example", "worked", "problem"},
    "record/product": {"product", "category", "colour", "price"},
    "review/write": {"label", "subject", "aspect"},
    "rewrite/compress": {"text"},
    "rewrite/counterfactual": {"text", "label", "target"},
    "rewrite/expand": {"text"},
    "rewrite/paraphrase": {"text"},
    "rewrite/paraphrase@question": {"text"},
    "rewrite/restore": {"text"},
    "rewrite/style": {"text", "style"},
    "summary/passage": {"context"},
    "summary/passage@document": {"context"},
    "table/event": {"kind", "place"},
    "tool/call": {"request", "tools"},
    "tool/request": {"task", "values"},
    "topic/subtopics": {"count", "known", "path"},
    "translate/back": {"text", "language"},
    "translate/forward": {"text", "language"},
}


def values_of(prompt: Prompt, text: str = "") -> dict[str, Any]:
    """`text`, or its own name in brackets, for each variable; those that are lists are such."""
    found: dict[str, Any] = {v: text or f"[{v}]" for v in prompt.variables}
    if "turns" in found:
        found["turns"] = [{"role": "user", "content": found["turns"]}]
    if "bridge" in found:
        found["bridge"] = [found["bridge"]]
    if "known" in found:
        found["known"] = [found["known"]]
    if "failures" in found:
        failure = dict.fromkeys(("input", "reply", "reason"), found["failures"])
        found.update(failures=[failure], variables=[found["variables"]])
    return found


def test_the_library_holds_these_prompts_with_these_variables() -> None:
    assert {prompt.name: set(prompt.variables) for prompt in list_prompts()} == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
def test_a_prompt_of_the_library_is_in_order(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.warnings() == []
    assert prompt.notes.strip().endswith(".")
    assert all(text.strip().endswith(".") for text in prompt.variables.values())
    chat = prompt.render(values_of(prompt))
    assert all(f"[{variable}]" in str(chat) for variable in prompt.variables)
    assert chat[-1][0] == "user"
    words = sum(len(content.split()) for _, content in chat)
    assert words < 400, "a small model attends badly to a long prompt"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_prompt_renders_text_that_looks_like_code_as_it_stands(name: str) -> None:
    prompt = load_prompt(name)
    hostile = '{{ 7 * 7 }} {% raw %} {"a": {"b": 1}} <|im_end|>'
    chat = prompt.render(values_of(prompt, hostile))
    assert hostile in str([content for _, content in chat][-1]) or name.startswith("instruction/")
    assert "49" not in str(chat)


def test_a_variant_declares_the_variables_of_its_prompt() -> None:
    for path in LIBRARY.rglob("*@*.yaml"):
        name = path.relative_to(LIBRARY).with_suffix("").as_posix()
        base = load_prompt(name.partition("@")[0])
        assert set(load_prompt(name).variables) == set(base.variables)


def test_the_judge_asks_for_a_score_from_one_to_five() -> None:
    output = load_prompt("judge/rubric").output
    assert output.fault({"score": 5}) == ""
    assert output.fault({"score": 6}) == "score: 6 is greater than the maximum of 5"
    assert output.fault({"score": 4.5}) == "score: 4.5 is not of type 'integer'"


def seeds(name: str) -> list[dict[str, Any]]:
    text = (REPOSITORY / "examples" / "seeds" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("file", "column", "count"),
    [("instructions.jsonl", "instruction", 30), ("captions.jsonl", "text", 40)],
)
def test_seed_files_hold_distinct_sentences(file: str, column: str, count: int) -> None:
    rows = seeds(file)
    assert len({row[column] for row in rows}) == count
    assert all(set(row) == {column} and len(row[column].split()) >= 5 for row in rows)


def test_examples_of_the_prompts_are_not_in_the_example_data() -> None:
    """Else a reply copied from an example would pass for one that is grounded in the data."""
    data = "".join(
        path.read_text(encoding="utf-8")
        for path in (REPOSITORY / "examples").rglob("*")
        if path.is_file()
    )
    replies = [example.reply for prompt in list_prompts() for example in prompt.examples]
    told = [turn.content for turn in load_prompt("instruction/new").messages[:-2]]
    sayings = [text for text in [*replies, *told] if " " in text]  # a word such as "no" is nobody's
    assert [text for text in sayings if text in data] == []


def test_the_handbook_has_the_size_of_a_handbook() -> None:
    pages = sorted((REPOSITORY / "examples" / "handbook").glob("*.md"))
    assert 8 <= len(pages) <= 12
    words = [len(page.read_text(encoding="utf-8").split()) for page in pages]
    assert 4000 <= sum(words) <= 6000
    assert min(words) > 300
