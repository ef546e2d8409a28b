import json
import random
from pathlib import Path

import pytest
from fakes import outcomes, reasons, row

from pipelines.rows import Fault, Rejection, Row
from pipelines.stages import STAGES, Grounded
from pipelines.stages.grounded import stem, unsupported
from prompts.errors import UsageError

CONTEXT = "The stove in Room 4 burns for seventy minutes. Guests open the windows of the cabin."


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("It burns for 70 minutes.", None),
        ("The cabin's windows are opened by a guest.", None),
        ("Yes.", None),
        ("", None),
        ("It burns for 90 minutes.", ["90"]),
        ("The stove in room 4 was sold to a Spanish collector.", ["sold", "spanish", "collector"]),
        ("Penguins sleep.", ["penguins", "sleep"]),
    ],
)
def test_words_and_numbers_must_be_in_the_source(answer: str, missing: list[str] | None) -> None:
    [result] = outcomes(Grounded(field="answer"), [row(answer=answer, context=CONTEXT)])
    if missing is None:
        assert result.data["answer"] == answer  # type: ignore[union-attr]
    else:
        assert isinstance(result, Rejection)
        assert result.reason == "not_grounded"
        assert result.detail["missing"] == missing


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("The van is charged overnight.", False),
        ("The vans are charging overnight.", False),
        ("The van is charged overnight at the gate.", True),
        ("It is charged 3 times.", True),
    ],
)
def test_an_answer_must_say_what_its_question_does_not(answer: str, kept: bool) -> None:
    stage = Grounded(field="answer", beyond="question")
    context = "The van is charged 3 times, overnight at the gate."
    data = {"answer": answer, "question": "What is the van charged overnight?", "context": context}
    fault = stage.fault(Row("a", (0,), "a", data))
    assert fault == (None if kept else Fault("nothing_new", {"beyond": "question"}))


def test_the_share_decides() -> None:
    answer = "The stove burns in a volcano."  # stove, burns; volcano is not there
    rows = [row(answer=answer, context=CONTEXT)]
    assert reasons(outcomes(Grounded(field="answer", min_share=0.66), rows)) == [""]
    [result] = outcomes(Grounded(field="answer", min_share=0.67), rows)
    assert isinstance(result, Rejection)
    assert result.detail == {"share": 0.6667, "missing": ["volcano"]}


def test_several_sources_and_lists_of_passages_are_searched() -> None:
    passages = [{"text": "Bread rises overnight.", "document": "a.md", "start": 0}, {"text": "Tea"}]
    stage = Grounded(field="answer", against=("passages", "question"), min_share=1)
    question = "How long does the dough rest?"
    assert stage.columns_needed() == {"answer", "passages", "question"}
    good, bad = "The dough of the bread rises overnight.", "The dough of the cake rises."
    rows = [
        row(id=f"r{i}", answer=a, passages=passages, question=question)
        for i, a in enumerate([good, bad])
    ]
    assert reasons(outcomes(stage, rows)) == ["", "not_grounded"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"answer": "Yes."}, "missing_column"),
        ({"context": "Yes."}, "missing_column"),
        ({"answer": 3, "context": "3"}, "not_text"),
    ],
)
def test_rows_without_the_columns_are_rejected(data: dict[str, object], reason: str) -> None:
    assert reasons(outcomes(Grounded(field="answer"), [row(data)])) == [reason]


def test_scripts_without_spaces_are_compared_by_pairs_of_characters() -> None:
    source = "今日は東京で雨が降る"
    assert unsupported("東京で雨", source) == (1.0, [])
    share, missing = unsupported("大阪で雨", source)
    assert share == pytest.approx(1 / 3)
    assert missing == ["大阪", "阪で"]


@pytest.mark.parametrize(
    "family",
    [
        "open opens opened opening",
        "city cities",
        "stop stops stopped stopping",
        "close closes closed closing",
        "carry carries carried",
        "box boxes",
        "happy happily",
        "glass glasses",
    ],
)
def test_inflections_have_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


@pytest.mark.parametrize("pair", ["glass glow", "bus busy", "thing think", "sing single"])
def test_different_words_have_different_stems(pair: str) -> None:
    assert len({stem(word) for word in pair.split()}) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"min_share": 1.5}, "less than"), ({"against": []}, "name the column")],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "grounded", "field": "answer", **settings}, key="stages.0")


@pytest.mark.slow
def test_questions_are_told_from_those_about_other_paragraphs(
    test_data: Path, tmp_path: Path
) -> None:
    """On XQuAD the default keeps questions beside their own paragraph and refuses others."""
    import tarfile

    with tarfile.open(test_data / "data" / "documents.tar.xz") as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith("xquad.en.json"))
        archive.extract(member, tmp_path, filter="data")
    articles = json.loads((tmp_path / member.name).read_text(encoding="utf-8"))["data"]
    draw = random.Random(0)
    rows, strange = [], []
    for article in articles:
        paragraphs = article["paragraphs"]
        for paragraph in paragraphs:
            other = draw.choice([p for p in paragraphs if p is not paragraph])
            for qa in paragraph["qas"]:
                text = f"{qa['question']} {qa['answers'][0]['text']}"
                rows.append(row(id=f"r{len(rows)}", answer=text, context=paragraph["context"]))
                strange.append(row(id=f"r{len(strange)}", answer=text, context=other["context"]))
    stage = Grounded(field="answer")
    assert reasons(outcomes(stage, rows)).count("") / len(rows) > 0.88
    assert reasons(outcomes(stage, strange)).count("") / len(strange) < 0.04
