"""Texts that repeat their sources or the prompt's examples are found, with what they repeat."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import files_of, launched, loaded_job, prompt_text

from pipelines.rows import Rejection
from pipelines.stages import STAGES, Stage
from prompts.errors import UsageError

CONTEXT = (
    "The stove burns for seventy minutes if it was full and the air is open. Never fill it while "
    "it burns. The handle stays cold. A cord of dry beech lasts for a winter of four months."
)
EXAMPLES = [
    {"values": {"context": "Tea is hot and rain is wet."}, "reply": "Which of the two is wet?"},
    {"values": {"context": "Ice is cold."}, "reply": "What is cold?"},
]
ASK = yaml.safe_dump(
    {**yaml.safe_load(prompt_text("Ask about {{ context }}", ["context"])), "examples": EXAMPLES}
)


def stage(**settings: Any) -> Stage:
    return STAGES.build({"kind": "copying", "field": "answer", **settings})


def found(text: Any, context: Any = CONTEXT, **settings: Any) -> tuple[str, dict[str, Any]]:
    """The reason for which such a row is rejected, and its evidence."""
    made = stage(**{"against": "context", **settings})
    view = FakeContext(made, prompts={"ask": ASK})
    (outcome,) = outcomes(made, [row(answer=text, context=context)], view)
    return (outcome.reason, dict(outcome.detail)) if isinstance(outcome, Rejection) else ("", {})


def test_a_span_is_told_with_its_length_its_source_and_its_words() -> None:
    text = "It burns for seventy minutes if it was full, and the air is open!"
    reason, detail = found(text, max_span=12)
    assert reason == "copied_span"
    assert detail == {
        "source": "context",
        "span": 13,
        "share": 0.9286,
        "text": "burns for seventy minutes if it was full and the air is open",
    }
    assert found(text, max_span=13, max_share=None) == ("", {})


@pytest.mark.parametrize(
    ("text", "share", "reason"),
    [
        ("The handle stays cold, but never fill it while it burns.", 0.54, "copied_share"),
        ("The handle stays cold, but never fill it while it burns.", 0.55, ""),
        ("The handle stays cold.", 0.99, "copied_share"),  # shorter than n, there as a whole
        ("The handle stays hot.", 0.0, ""),
        ("It holds dry beech for a winter.", 0.0, ""),  # runs of two and three words
        ("", 0.0, ""),
        ("?!", 0.0, ""),
    ],
)
def test_the_share_counts_runs_of_n_words(text: str, share: float, reason: str) -> None:
    assert found(text, max_span=None, max_share=share)[0] == reason


def test_the_share_is_of_the_text_not_of_the_source() -> None:
    text = f"I was told the following by a friend of mine who sells stoves. {CONTEXT[:39]}"
    reason, detail = found(text, max_span=None, max_share=0.25)
    assert (reason, detail["share"]) == ("copied_share", 0.35)


PASSAGES = [
    {"text": "Nothing of it.", "document": "a.md", "score": 2.5},
    {"text": "A full stove burns for seventy minutes.", "document": "b.md", "score": 1.5},
]


@pytest.mark.parametrize("against", ["context", ["context"], ["answer2", "context"]])
def test_passages_are_compared_one_by_one_and_named_by_their_number(against: Any) -> None:
    made = stage(against=against, max_span=5)
    text = "The stove burns for seventy minutes."
    (outcome,) = outcomes(made, [row(answer=text, context=PASSAGES, answer2="x")])
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.detail["source"]) == ("copied_share", "context 2")
    apart = [{"text": "The stove burns"}, {"text": "for seventy minutes."}]
    assert found(text, apart, max_span=2) == (
        "copied_span",
        {"source": "context 1", "span": 3, "share": 0.0, "text": "the stove burns"},
    )
    assert found(text, apart, max_span=3) == ("", {})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Which of the two is wet?", "example 1 of ask"),
        ("What is cold?", "example 2 of ask"),
        ("Tea is hot and rain is wet.", "example 1 of ask"),
        ("What is wet in a winter of tea?", ""),
    ],
)
def test_examples_of_the_prompt_are_not_repeated(text: str, source: str) -> None:
    reason, detail = found(text, prompt="ask")
    assert (reason, detail.get("source", "")) == ("copied_share" if source else "", source)


def test_the_worst_source_is_named() -> None:
    text = "Never fill it while it burns, as the old book of stoves said in nineteen ten."
    _, detail = found(text, [CONTEXT, text, "as the old book"], max_span=5)
    assert (detail["source"], detail["span"]) == ("context 2", 16)


def test_rows_without_the_columns_are_rejected() -> None:
    made = stage(against=["context", "passages"])
    rows = [row(id="r1", context="x"), row(id="r2", answer="y"), row(id="r3", answer=3)]
    results = outcomes(made, rows)
    assert reasons(results) == ["missing_column", "missing_column", "not_text"]
    assert made.columns_needed() == {"answer", "context", "passages"}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "copying needs 'against' or 'prompt'"),
        ({"against": ""}, "copying needs 'against' or 'prompt'"),
        ({"against": ["context", ""]}, "found"),
        ({"against": "context", "max_span": None, "max_share": None}, "are both null"),
        ({"against": "context", "max_share": 1.0}, "found 1.0"),
        ({"against": "context", "max_span": 0}, "found 0"),
        ({"against": "context", "n": 1}, "found 1"),
    ],
)
def test_settings_that_compare_nothing_are_refused(settings: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        stage(**settings)


def test_the_prompt_is_checked_before_the_run() -> None:
    job = FakeJob(prompts={"ask": ASK, "bare": prompt_text("Ask {{ context }}", ["context"])})
    stage(prompt="ask").check(job)  # type: ignore[arg-type]
    for name, problem in (("bare", "has no examples"), ("aks", "unknown prompt")):
        with pytest.raises(UsageError, match=problem) as raised:
            stage(prompt=name).check(job)  # type: ignore[arg-type]
        assert raised.value.key == "prompt"


def test_a_run_rejects_copies_of_the_passages_it_retrieved(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"# Stove\n\n{CONTEXT}\n")
    replies = [
        "The stove burns for seventy minutes if it was full.",
        "About an hour, with dry logs.",
    ]
    changes: dict[str, Any] = {
        "models": {"writer": {"model": "scripted", "replies": replies}},
        "sources": [
            {"kind": "topics", "topics": ["stove", "winter", "beech", "handle"], "count": 4}
        ],
        "prompts": {"reply": prompt_text("Answer {{ topic }}", ["topic"])},
        "stages": [
            {"kind": "retrieve", "query": "topic", "path": str(tmp_path / "notes.md")},
            {"kind": "generate", "model": "writer", "prompt": "reply", "adds": "answer"},
            {"kind": "copying", "field": "answer", "against": "passages"},
        ],
    }
    loaded_job(tmp_path, **changes)
    runs = [launched(tmp_path, f"run{block}", **changes, block=block) for block in (1, 64)]
    counts = {each["stage"]: each["rejected"] for each in runs[0].run.counts}
    assert counts["copying"]["copied_share"] == 4 - runs[0].run.accepted
    assert 0 < runs[0].run.accepted < 4
    first, second = (files_of(run.folder) for run in runs)
    assert first["rejected.jsonl"] == second["rejected.jsonl"]
