"""`self_instruct`: what it shows, what it takes, and that its pool survives a stop."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, outcomes, row
from jobs import files_of, launched, loaded_job

from pipelines.calling import Caller, Interrupted
from pipelines.launch import Options, launch
from pipelines.rows import Rejection, Row
from pipelines.runner import Watch
from pipelines.stages import SelfInstruct
from pipelines.stages.dedup.rouge import rouge_l
from prompts.errors import TextmillError

PROMPT = "messages: [{role: user, content: Write a task.}]"
SEEDS = [f"Name {n} things that {w} like." for n, w in enumerate(
    ["cats", "bakers", "sailors", "painters", "tailors", "gardeners", "miners"], 2)]  # fmt: skip


def seeds_file(folder: Path) -> Path:
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"task": text}) + "\n" for text in SEEDS))
    return path


def made(folder: Path, **settings: Any) -> SelfInstruct:
    return SelfInstruct.model_validate(
        {"name": "s", "model": "m", "prompt": "new", "seeds": str(seeds_file(folder)),
         "seed_column": "task", **settings}
    )  # fmt: skip


def run(
    stage: SelfInstruct, script: Any, rows: int = 1
) -> tuple[list[Row | Rejection], FakeContext]:
    context = FakeContext(stage, script, prompts={"new": PROMPT})
    return outcomes(stage, [row(id=f"r{n}") for n in range(rows)], context), context


def test_eight_examples_are_shown_as_turns(tmp_path: Path) -> None:
    stage = made(tmp_path, from_seeds=4, from_pool=2)
    [kept], context = run(stage, lambda model, call: "Explain how a lock works inside.")
    assert isinstance(kept, Row)
    [call] = context.asked[0].calls
    assert [m.role for m in call.messages] == ["user", "assistant"] * 6 + ["user"]
    shown = [m.content for m in call.messages if m.role == "assistant"]
    assert len(set(shown)) == 6
    assert set(shown) <= set(SEEDS)
    names = kept.history[-1]["examples"]
    assert shown == [SEEDS[int(name.removeprefix("seed ")) - 1] for name in names]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Explain it.", "too_short"),
        ("Explain " + "very " * 40 + "well.", "too_long"),
        ("Describe what the attached image shows.", "keyword"),
        ("-> describe a mill in winter.", "odd_beginning"),
        ("Name 2 things that cats like!", "near_duplicate"),
        ("I'm sorry, but I cannot help with that request.", "refusal"),
        (" ", "empty_reply"),
    ],
)
def test_what_is_no_new_instruction_is_asked_for_again_and_rejected(
    reply: str, reason: str, tmp_path: Path
) -> None:
    stage = made(tmp_path, attempts=3, max_words=30)
    [refused], context = run(stage, lambda model, call: reply)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.attempts, len(context.asked)) == (reason, 3, 3)


def test_a_row_that_repeats_an_earlier_one_of_its_block_tries_again(tmp_path: Path) -> None:
    told = iter(["Explain how a lock works inside."] * 2 + ["Compare two kinds of bread."])
    stage = made(tmp_path, attempts=2, from_seeds=2)
    first, second = run(stage, lambda model, call: next(told), rows=2)[0]
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.history[-1]["attempt"] == 0
    assert second.data["instruction"] == "Compare two kinds of bread."
    assert second.history[-1]["attempt"] == 1
    # What this block has made is not shown in it.
    assert all(name.startswith("seed ") for name in second.history[-1]["examples"])


def job(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "rows": 40,
        "block": 8,
        "prompts": {"new": PROMPT},
        "sources": [{"kind": "topics", "topics": ["task"]}],
        "stages": [
            {"kind": "self_instruct", "model": "writer", "prompt": "new",
             "seeds": str(seeds_file(folder)), "seed_column": "task", "attempts": 8, **changes}
        ],
    }  # fmt: skip


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


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(blocks: int, tmp_path: Path) -> None:
    whole = launched(tmp_path, "whole", **job(tmp_path))
    loaded = loaded_job(tmp_path, **job(tmp_path))
    with pytest.raises(Interrupted):
        launch(loaded, tmp_path / "cut", Options(ledger=tmp_path / "other", watch=Stop(blocks)))
    launch(loaded, tmp_path / "cut", Options(ledger=tmp_path / "other"))
    assert files_of(tmp_path / "cut") == files_of(whole.folder)


def test_examples_come_from_earlier_blocks_and_no_two_instructions_are_near(
    tmp_path: Path,
) -> None:
    done = launched(tmp_path, **job(tmp_path))
    records = [json.loads(line) for line in (done.folder / "rows.jsonl").read_text().splitlines()]
    assert len(records) == 40
    place = {record["id"]: int(record["order"].split(".")[0]) // 8 for record in records}
    grown = 0
    for record in records:
        names = [n for n in record["history"][-1]["examples"] if not n.startswith("seed ")]
        assert all(place[name] < place[record["id"]] for name in names)
        grown += len(names)
    assert grown == 2 * sum(at > 0 for at in place.values())
    texts = [record["data"]["instruction"].lower().rstrip(".").split() for record in records]
    texts += [seed.lower().rstrip(".").split() for seed in SEEDS]
    pairs = [(a, b) for n, a in enumerate(texts) for b in texts[:n]]
    assert max(rouge_l(a, b) for a, b in pairs) < 0.7


def test_a_pattern_guides_the_call_and_its_reply_is_read_as_one(tmp_path: Path) -> None:
    stage = made(tmp_path, attempts=2, decoding={"strategy": "sample", "top_p": 0.9})
    prompt = PROMPT + "\noutput: {form: regex, pattern: 'Name [a-z0-9 ]+\\.'}"
    told = iter(["Explain how a lock works.", "Name things of iron."])
    context = FakeContext(stage, lambda model, call: next(told), prompts={"new": prompt})
    [kept] = outcomes(stage, [row()], context)
    assert isinstance(kept, Row)
    assert (kept.data["instruction"], kept.history[-1]["attempt"]) == ("Name things of iron.", 1)
    [guide] = context.asked[0].calls[0].guides
    assert guide.key()["source"] == "Name [a-z0-9 ]+\\."


def test_what_does_not_fit_is_found_before_a_run(tmp_path: Path) -> None:
    settings = job(tmp_path, seed_column="instruction")
    with pytest.raises(TextmillError, match="no column 'instruction'") as caught:
        loaded_job(tmp_path, **settings)
    assert caught.value.key == "stages.0.seeds"
    settings = job(tmp_path)
    settings["prompts"] = {
        "new": "variables: {topic: T.}\nmessages: [{role: user, content: '{{ topic }}'}]"
    }
    with pytest.raises(TextmillError, match="seeds have no value for"):
        loaded_job(tmp_path, **settings)
    settings["prompts"] = {"new": PROMPT + "\noutput: {form: regex, pattern: 'Name [a-z ]+\\.'}"}
    with pytest.raises(TextmillError, match="stop cannot be kept") as caught:
        loaded_job(tmp_path, **settings)
    assert caught.value.key == "stages.0.decoding.stop"
    settings["stages"][0]["decoding"] = {"strategy": "sample"}
    with pytest.raises(TextmillError, match="seed 1 does not match the pattern") as caught:
        loaded_job(tmp_path, **settings)
    assert caught.value.key == "stages.0.seeds"
    settings["prompts"] = {"new": PROMPT + "\noutput: {form: lines}"}
    with pytest.raises(TextmillError, match="answers with lines, not text or regex"):
        loaded_job(tmp_path, **settings)
