from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, row
from jobs import files_of, launched
from test_runner import assert_accounts, read

from chains.calls import Call, Reply
from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Subtopics
from prompts.errors import UsageError
from prompts.prompt import load_prompt

PROMPT = load_prompt("topic/subtopics", inline={}, folder=Path()).source
PROMPTS = {"topic/subtopics": PROMPT}


def stage(**settings: Any) -> Subtopics:
    return Subtopics(name="branches", **{"model": "writer", "breadth": 3, **settings})


def grown(replies: list[str | Reply], start: Row, **settings: Any) -> tuple[list[Any], list[str]]:
    """The outcomes of one row, and what the model was asked; `replies` come in turn."""
    asked: list[str] = []
    left: Iterator[str | Reply] = iter(replies)

    def script(model: str, call: Call) -> str | Reply:
        asked.append(call.messages[-1].content)
        return next(left)

    made = stage(**settings)
    return outcomes(made, [start], FakeContext(made, script, prompts=PROMPTS)), asked


def test_topics_become_rows_of_the_family_with_their_way() -> None:
    found, asked = grown(["- piano\n- drums\n- harp"], row(id="r1", topic="music", note="kept"))
    assert [(r.data["topic"], r.data["path"], r.data["note"]) for r in found] == [
        (name, ["music", name], "kept") for name in ("piano", "drums", "harp")
    ]
    assert [(r.family, r.order) for r in found] == [("r1", (1, n)) for n in range(3)]
    assert asked == ["music: name 3 narrower topics."]


def test_doubles_ancestors_and_sentences_are_asked_for_again() -> None:
    start = row(topic="guitars", path=["music", "guitars"])
    replies = [
        "Music\n1. Piano: a large one with keys\npiano.\nGUITARS\nA sentence about a topic it is.",
        "harp\npiano\n\ndrums\nflute",
    ]
    found, asked = grown(replies, start)
    assert [r.data["topic"] for r in found] == ["Piano", "harp", "drums"]
    assert found[2].data["path"] == ["music", "guitars", "drums"]
    assert asked[1] == "music > guitars: name 2 narrower topics, other than Piano."


def test_too_few_are_one_rejection_with_what_was_found() -> None:
    [refused], asked = grown(["piano"] * 4, row(topic="music"), attempts=4)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.attempts, len(asked)) == ("too_few_subtopics", 4, 4)
    assert refused.detail == {"found": ["piano"], "wanted": 3, "reply": "piano"}
    kept, _ = grown(["piano"] * 4, row(topic="music"), attempts=4, least=1)
    assert [r.data["topic"] for r in kept] == ["piano"]


def test_the_last_line_of_a_cut_reply_is_left_out_and_errors_are_none() -> None:
    replies = [Reply("", "error", error="failed: x"), Reply("piano\nha", "length"), "harp\ndrums"]
    found, _ = grown(replies, row(topic="music"))
    assert [r.data["topic"] for r in found] == ["piano", "harp", "drums"]


def test_likeness_counts_where_it_is_asked_for() -> None:
    """The embedder of the fakes has a cosine of 0.9 between any two texts."""
    replies = ["piano\nharp\ndrums"]
    found, _ = grown(replies, row(topic="music"), max_similarity=0.95)
    assert len(found) == 3
    [refused], _ = grown(replies, row(topic="music"), max_similarity=0.85, attempts=1)
    assert refused.detail["found"] == []
    assert stage(max_similarity=0.85).uses_embedder()


def test_a_row_without_a_topic_is_rejected() -> None:
    found, _ = grown([], row(other=1))
    assert [r.reason for r in found] == ["missing_column"]
    found, _ = grown([], row(topic=3))
    assert [r.reason for r in found] == ["not_text"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"least": 9}, "found 9"),
        ({"breadth": 0}, "greater than or equal to 1"),
        ({"decoding": {"strategy": "sample", "n": 2}}, "found 2"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        STAGES.build({"kind": "subtopics", "model": "writer", **settings}, key="stages.0")


def test_a_prompt_that_answers_with_text_is_refused() -> None:
    text = PROMPT.replace("{form: lines}", "{form: text}")
    job = FakeJob(prompts={"topic/subtopics": text}, models=["writer"], columns=["topic"])
    with pytest.raises(UsageError, match="answers with text"):
        stage().check(job)


def test_a_tree_has_its_breadth_at_every_level(tmp_path: Path) -> None:
    """Two levels on a scripted model, in blocks of different sizes."""
    levels = [
        {"kind": "subtopics", "model": "writer", "name": name, "breadth": breadth, "most_words": 99}
        for name, breadth in (("branches", 3), ("leaves", 2))
    ]
    for level in levels:
        level["decoding"] = {"strategy": "sample", "max_tokens": 200}
        level["attempts"] = 20
    runs = []
    for block in (2, 40):
        source = {"kind": "topics", "topics": ["music", "food", "law"], "balance": ["topic"]}
        done = launched(
            tmp_path, f"run{block}", sources=[{**source, "count": 3}], stages=levels, block=block
        )
        rows = read(done.folder)
        assert len(rows) == 3 * 3 * 2
        assert {len(r["data"]["path"]) for r in rows} == {3}
        assert len({tuple(r["data"]["path"]) for r in rows}) == 18
        assert len({r["family"] for r in rows}) == 3
        assert_accounts(done.folder, done.run.counts)
        runs.append(files_of(done.folder)["rows.jsonl"])
    assert runs[0] == runs[1]
