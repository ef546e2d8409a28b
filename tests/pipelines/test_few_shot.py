"""Examples drawn for each row: which, in what order, never the row itself; pools in a real run."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeContext, outcomes, reasons, row
from jobs import files_of, launched, loaded_job, prompt_text

from pipelines.calling import Caller, Interrupted
from pipelines.launch import Options, launch
from pipelines.rows import Row
from pipelines.runner import Watch
from pipelines.stages import Generate
from pipelines.stages.diversity.shots import most_relevant
from prompts.errors import TextmillError

PROMPT = """
variables: {topic: A topic.}
messages:
  - {role: system, content: You ask.}
  - {role: user, content: "Ask about {{ topic }}."}
examples:
  - {values: {topic: own}, reply: "Own question?"}
  - {values: {topic: two}, reply: "Second?"}
"""


def examples_file(folder: Path, count: int = 8) -> Path:
    path = folder / "examples.jsonl"
    records = [{"subject": f"thing {n}", "reply": f"What is {n}?"} for n in range(count)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def stage(**examples: Any) -> Generate:
    return Generate.model_validate(
        {"name": "q", "model": "m", "prompt": "ask", "adds": "question", "examples": examples}
    )


def asked(made: Generate, rows: list[Row], **settings: Any) -> tuple[list[Any], list[list[str]]]:
    """Outcomes, and for each row what its chat says between system message and question."""
    context = FakeContext(made, lambda model, call: "Why?", prompts={"ask": PROMPT}, **settings)
    found = outcomes(made, rows, context)
    [ask] = context.asked
    return found, [[m.content for m in call.messages[1:-1]] for call in ask.calls]


def test_examples_of_a_file_stand_where_the_prompt_s_own_do(tmp_path: Path) -> None:
    made = stage(**{"from": str(examples_file(tmp_path)), "n": 2, "columns": {"topic": "subject"}})
    [kept], [turns] = asked(made, [row({"topic": "tea"})])
    numbers = [int(name) - 1 for name in kept.history[0]["examples"]]
    assert len(set(numbers)) == 2
    wanted = [text for n in numbers for text in (f"Ask about thing {n}.", f"What is {n}?")]
    assert turns == wanted


def test_every_row_draws_its_own_and_the_same_again(tmp_path: Path) -> None:
    made = stage(**{"from": str(examples_file(tmp_path)), "n": 2, "columns": {"topic": "subject"}})
    rows = [row({"topic": f"t{n}"}, id=f"r{n}") for n in range(30)]
    _, first = asked(made, rows)
    _, second = asked(made, rows)
    assert first == second
    assert len({tuple(turns) for turns in first}) > 15
    shown = [turn for turns in first for turn in turns if turn.startswith("What")]
    assert {shown.count(f"What is {n}?") > 1 for n in range(8)} == {True}


def test_an_example_that_asks_what_the_row_asks_or_holds_its_answer_is_left_out(
    tmp_path: Path,
) -> None:
    made = stage(
        **{"from": str(examples_file(tmp_path, 3)), "n": 3, "columns": {"topic": "subject"}}
    )
    held = row({"topic": "Thing 1.", "known": "what is 2"})
    [kept], [turns] = asked(made, [held])
    assert kept.history[0]["examples"] == ["1", "prompt 1", "prompt 2"]
    assert "What is 1?" not in turns
    assert "What is 2?" not in turns


def test_the_replies_shown_can_be_kept_in_a_column(tmp_path: Path) -> None:
    made = stage(**{"from": "prompt", "n": 1, "adds": "shown"})
    [kept], _ = asked(made, [row({"topic": "tea"})])
    assert kept.data["shown"][0] in {"Own question?", "Second?"}
    assert made.columns_added() == {"question", "shown"}


def test_mmr_with_relevance_one_is_the_nearest_and_with_zero_spreads() -> None:
    source = np.random.default_rng(5)
    vectors = source.normal(size=(30, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[0]
    nearest = most_relevant(query, vectors, range(1, 30), 4, 1.0)
    assert nearest == (1 + np.argsort(-(vectors[1:] @ query), kind="stable")[:4]).tolist()
    spread = most_relevant(query, vectors, range(1, 30), 4, 0.3)
    assert spread[0] == nearest[0]

    def likeness(chosen: list[int]) -> float:
        return max(float(vectors[a] @ vectors[b]) for a, b in combinations(chosen, 2))

    assert likeness(spread) < likeness(nearest)
    # The second choice by the definition, worked out over all candidates.
    rest = [at for at in range(1, 30) if at != spread[0]]
    score = {at: 0.3 * vectors[at] @ query - 0.7 * vectors[at] @ vectors[spread[0]] for at in rest}
    assert spread[1] == max(rest, key=lambda at: score[at])


def test_the_nearest_example_stands_next_to_the_question(tmp_path: Path) -> None:
    made = stage(
        **{"from": str(examples_file(tmp_path)), "n": 3, "choose": "nearest",
           "columns": {"topic": "subject"}}
    )  # fmt: skip
    context = FakeContext(made, lambda model, call: "Why?", prompts={"ask": PROMPT})
    context.embed = lambda texts: np.array(  # type: ignore[method-assign]
        [[1.0, 0.0] if "3" in text else [0.6, 0.8] for text in texts], dtype=np.float32
    )
    [kept] = outcomes(made, [row({"topic": "item 3"})], context)
    assert isinstance(kept, Row)
    assert kept.history[0]["examples"][-1] == "4"


POOL: dict[str, Any] = {
    "prompts": {"ask": prompt_text("Ask about {{ topic }}.", ["topic"])},
    "stages": [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question",
         "examples": {"from": "pool", "n": 2}}
    ],
    "rows": 30,
}  # fmt: skip


def test_a_pool_holds_rows_of_earlier_blocks_only(tmp_path: Path) -> None:
    done = launched(tmp_path, **POOL)
    records = [json.loads(line) for line in (done.folder / "rows.jsonl").read_text().splitlines()]
    block = {record["id"]: place // 8 for place, record in enumerate(records)}
    for place, record in enumerate(records):
        [event] = [event for event in record["history"] if "examples" in event]
        assert len(event["examples"]) == (0 if place < 8 else 2)
        assert all(block[name] < place // 8 for name in event["examples"])


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_run_with_a_pool_that_is_stopped_goes_on_to_the_same_bytes(
    blocks: int, tmp_path: Path
) -> None:
    whole = launched(tmp_path, "whole", **POOL)
    job = loaded_job(tmp_path, **POOL)
    with pytest.raises(Interrupted):
        launch(job, tmp_path / "cut", Options(ledger=tmp_path / "other", watch=Stop(blocks)))
    launch(job, tmp_path / "cut", Options(ledger=tmp_path / "other"))
    assert files_of(tmp_path / "cut") == files_of(whole.folder)


class Stop(Watch):
    """Asks to stop after some blocks and one batch."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.batches = 0

    def on_block(self, accepted: int, rejected: int) -> None:
        self.blocks -= 1

    def on_batch(self, caller: Caller) -> None:
        self.batches += self.blocks <= 0

    def stop_requested(self) -> bool:
        return self.batches > 0


@pytest.mark.parametrize(
    ("examples", "problem", "key"),
    [
        ({"from": "nowhere.jsonl"}, "no such file", "examples.from"),
        ({"from": "FILE"}, "no column 'topic'", "examples.from"),
        ({"from": "FILE", "columns": {"subject": "x"}}, "no variable 's", "examples.columns"),
        ({"from": "prompt"}, "has no examples", "examples.from"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found_before_a_run(
    examples: dict[str, Any], problem: str, key: str, tmp_path: Path
) -> None:
    if examples["from"] == "FILE":
        examples = {**examples, "from": str(examples_file(tmp_path))}
    stages = [{**POOL["stages"][0], "examples": examples}]
    with pytest.raises(TextmillError, match=problem) as caught:
        loaded_job(tmp_path, **{**POOL, "stages": stages})
    assert caught.value.key == f"stages.0.{key}"


def test_a_reply_of_another_form_is_named_by_its_record(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"topic": "a", "reply": "yes"}\n{"topic": "b", "reply": "maybe"}\n')
    prompt = prompt_text("Is {{ topic }} good?", ["topic"]) + "\n"
    prompt = prompt.replace("form: text", "form: choice\n  choices: ['yes', 'no']")
    stages = [{**POOL["stages"][0], "examples": {"from": str(path)}}]
    with pytest.raises(TextmillError, match=r"example 2 of .* is none of the choices"):
        loaded_job(tmp_path, **{**POOL, "prompts": {"ask": prompt}, "stages": stages})


def test_a_row_without_the_column_is_rejected() -> None:
    made = stage(**{"from": "prompt", "n": 1})
    context = FakeContext(made, prompts={"ask": PROMPT})
    assert reasons(outcomes(made, [row({"other": "x"})], context)) == ["missing_column"]
