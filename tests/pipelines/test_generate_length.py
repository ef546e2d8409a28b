"""`length` on the stages that ask a model: calls, candidates, retries, history."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import textmill
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import files_of, launched, prompt_text

from chains.calls import Call, Reply
from chains.decoding.length import LengthGuide
from chains.decoding.seeds import reply_seed
from chains.models.spec import ModelSpec
from pipelines.deviations import deviation_lines, deviations
from pipelines.rows import Row
from pipelines.stages import Generate, Paraphrase
from prompts.errors import UsageError

PROMPTS = {
    "ask": prompt_text("Ask about {{ topic }}.", ["topic"]),
    "json": prompt_text("Ask about {{ topic }}.", ["topic"], output="json"),
    "say": prompt_text("Say in other words: {{ text }}", ["text"]),
}


def generate(length: Any, **more: Any) -> Generate:
    settings = {"name": "text", "model": "writer", "prompt": "ask", "adds": "text", **more}
    return Generate.model_validate({**settings, "length": length})


def run(stage: Any, replies: Sequence[str | Reply], **columns: Any) -> Any:
    """The outcomes of one row, and the context that was asked."""
    rest = iter(replies)
    context = FakeContext(stage, lambda model, call: next(rest), prompts=PROMPTS)
    return outcomes(stage, [row(**(columns or {"topic": "tea"}))], context), context


def calls(context: FakeContext) -> list[list[Call]]:
    return [list(ask.calls) for ask in context.asked]


def words(count: int) -> str:
    return "word " * (count - 1) + "end."


def test_a_reply_is_told_and_steered_and_its_length_recorded() -> None:
    [kept], context = run(generate({"target": 10}), [words(11)])
    [[call]] = calls(context)
    assert call.messages[-1].content == "Ask about tea.\n\nReply in about 10 words."
    assert call.guides == (LengthGuide(min=9, max=11, target=10),)
    assert kept.history[-1]["length"] == {
        "unit": "words", "length": 11, "target": 10, "deviation": 0.1, "layer": "guide",
    }  # fmt: skip


def test_more_candidates_are_asked_only_where_the_first_misses() -> None:
    stage = generate({"target": 10, "candidates": 3})
    [kept], context = run(stage, [words(10)])
    assert len(context.asked) == 1
    [kept], context = run(stage, [words(20), words(11), words(10)])
    first, more = calls(context)
    seed = context.seed(row(topic="tea"))
    assert [call.seed for call in [*first, *more]] == [reply_seed(seed, n) for n in range(3)]
    assert kept.data["text"] == words(10)
    assert kept.history[-1]["length"]["layer"] == "candidates"
    assert kept.history[-1]["seed"] == reply_seed(seed, 2)


def test_of_candidates_that_all_miss_the_nearest_is_rejected() -> None:
    stage = generate({"target": 10, "candidates": 3}, attempts=1)
    [refused], _ = run(stage, [words(30), words(5), words(20)])
    assert (refused.reason, refused.detail["length"]) == ("too_short", 5)


def test_a_retry_has_other_seeds() -> None:
    [kept], context = run(generate({"target": 10}), [words(20), words(10)])
    seeds = [call.seed for asked in calls(context) for call in asked]
    assert seeds == [context.seed(row(), attempt) for attempt in (0, 1)]
    assert kept.history[-1]["length"]["layer"] == "retry"


def test_each_reply_has_a_target_of_its_own_that_a_retry_keeps() -> None:
    target = {"draw": "uniform", "min": 5, "max": 500}
    decoding = {"strategy": "sample", "n": 3, "max_tokens": 900}
    stage = generate({"target": target}, decoding=decoding, attempts=2)
    _, context = run(stage, [words(2)] * 6)
    first, second = ([call.guides[0].target for call in asked] for asked in calls(context))
    assert first == second
    assert len(set(first)) == 3


def test_a_server_is_told_but_not_steered(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ModelSpec(model="m", server="http://127.0.0.1:1/v1")
    monkeypatch.setattr(FakeContext, "spec", lambda self, model: server)
    [kept], context = run(generate({"target": 10}), [words(10)])
    assert calls(context)[0][0].guides == ()
    assert kept.history[-1]["length"]["layer"] == "prompt"


def test_json_is_only_measured() -> None:
    stage = generate({"max": 2}, prompt="json", attempts=1)
    [refused], context = run(stage, ['"one two three"'])
    assert refused.reason == "too_long"
    assert calls(context)[0][0].messages[-1].content == "Ask about tea."
    with pytest.raises(UsageError, match="length is that of one column"):
        generate({"max": 2}, prompt="json", adds=["a", "b"]).check(
            FakeJob(prompts=PROMPTS, models=["writer"], columns=["topic"])
        )


def test_impossible_lengths_are_refused_before_a_run() -> None:
    job = FakeJob(prompts=PROMPTS, models=["writer"], columns=["topic", "text"])
    with pytest.raises(UsageError, match="256 tokens do not hold 900 words") as caught:
        generate({"target": 900}).check(job)
    assert caught.value.key == "decoding.max_tokens"
    say = {"field": "text", "model": "writer", "prompt": "say"}
    with pytest.raises(UsageError, match="gates choose"):
        Paraphrase.model_validate({**say, "length": {"max": 9, "candidates": 2}}).check(job)


def test_a_variant_is_measured_as_it_is_cleaned() -> None:
    stage = Paraphrase.model_validate(
        {"name": "say", "field": "text", "model": "writer", "prompt": "say",
         "length": {"target": 8, "tolerance": 1}, "gates": {"length_ratio": 9}}
    )  # fmt: skip
    said = "Nine is when the museum opens each Monday."
    long = "Every Monday at nine the museum opens its doors to all who wait."
    results, context = run(
        stage,
        [long, f"Sure! Here is a paraphrase:\n\n{said}"],
        text="The museum opens at nine on Monday.",
    )
    assert reasons(results) == ["", ""]
    assert results[1].data["text"] == said
    assert results[1].history[-1]["length"]["layer"] == "retry"
    assert calls(context)[0][0].messages[-1].content.endswith("Reply in about 8 words.")


JOB: dict[str, Any] = {
    "models": {"writer": {"model": "scripted"}},
    "stages": [
        {
            "kind": "generate",
            "model": "writer",
            "prompt": "ask",
            "adds": "text",
            "length": {"target": {"draw": "uniform", "min": 8, "max": 16}, "candidates": 2},
        }
    ],
}


def test_a_run_is_the_same_whatever_its_blocks_and_shows_its_deviations(tmp_path: Path) -> None:
    found = []
    for block in (3, 64):
        (tmp_path / str(block)).mkdir()
        done = launched(tmp_path / str(block), **JOB, block=block)
        found.append(files_of(done.folder)["rows.jsonl"])
    assert found[0] == found[1]
    events = [json.loads(line)["history"][-1]["length"] for line in found[0].splitlines()]
    assert all(abs(event["deviation"]) <= 0.1 for event in events)
    assert {"guide", "trim", "retry"} <= {event["layer"] for event in events}
    shown = textmill(tmp_path, "inspect", str(done.folder), "--json").out
    entries = json.loads(shown)["lengths"]
    assert sum(entry["texts"] for entry in entries) == len(events)
    plain = textmill(tmp_path, "inspect", str(done.folder)).out
    assert "\nstage  layer" in plain


def test_deviations_are_told_by_stage_and_layer() -> None:
    def one(deviation: float, layer: str) -> Row:
        return row().with_data(
            {}, {"stage": "s", "length": {"deviation": deviation, "layer": layer}}
        )

    rows = [one(0.1, "retry"), *(one(place / 100, "guide") for place in range(-10, 11))]
    entries = deviations(rows)
    assert entries == [
        {"stage": "s", "layer": "guide", "texts": 21, "mean": 0.0,
         "p5": -0.09, "p50": 0.0, "p95": 0.09},
        {"stage": "s", "layer": "retry", "texts": 1, "mean": 0.1,
         "p5": 0.1, "p50": 0.1, "p95": 0.1},
    ]  # fmt: skip
    assert deviation_lines(entries)[1].split() == [
        "s",
        "guide",
        "21",
        "+0.0%",
        "-9.0%",
        "+0.0%",
        "+9.0%",
    ]
    assert deviations([row()]) == []
    assert deviation_lines([]) == []
