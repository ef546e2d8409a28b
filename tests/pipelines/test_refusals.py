from pathlib import Path

from command_line import textmill
from jobs import job_data, prompt_text, write_job

from pipelines.refusals import refusal_lines


def refused(reason: str, **detail: object) -> dict[str, object]:
    return {"stage": "say", "reason": reason, "detail": detail}


def test_numbers_of_the_evidence_are_told_with_their_spread() -> None:
    rows = [refused("meaning_changed", similarity=s, least=0.85) for s in (0.31, 0.7, 0.84)]
    others = [refused("empty", column="text"), refused("too_long", length=30, max=20)]
    assert refusal_lines([*rows, *others]) == [
        "refused     say: meaning_changed 3; similarity 0.31 to 0.84, median 0.7, least 0.85",
        "refused     say: too_long 1; length 30, max 20",
    ]
    assert refusal_lines([]) == []


def test_a_gate_that_lets_nothing_through_ends_with_5_and_says_what_it_measured(
    tmp_path: Path,
) -> None:
    stage = {
        "kind": "paraphrase", "model": "writer", "field": "topic", "prompt": "again",
        "keep_original": False, "attempts": 1,
        "gates": {"similarity": None, "difference": 1.0, "numbers": False, "length_ratio": 99},
    }  # fmt: skip
    data = job_data(
        stages=[stage],
        prompts={"again": prompt_text("Again: {{ text }}", ["text"])},
        models={"writer": {"model": "scripted", "replies": ["a topical text", "topics again"]}},
        rows=3,
        passes=1,
        embedder="hashing",
    )
    write_job(tmp_path, data)
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run")
    assert ended.code == 5
    assert "refused     paraphrase: too_similar 40; difference 0." in ended.out
    assert ", least 1\n" in ended.out
