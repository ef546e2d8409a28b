"""`cite`: quotes that are what they say, from the right place, and rejections that say why."""

import json
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from hypothesis import given
from hypothesis import strategies as st
from jobs import launched

from chains.calls import Reply
from chains.text.sentences import sentence_spans, sentences
from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Cite
from prompts.errors import UsageError

SHOP = "The shop in Mill Street opens at nine. Dogs wait outside. On Sundays it is shut 24 hours."
LEXICAL = Cite(field="answer", min_similarity=None)


def cited(answer: str, *, stage: Cite = LEXICAL, **columns: Any) -> list[dict[str, Any]]:
    [result] = outcomes(stage, [row(answer=answer, **{"context": SHOP, **columns})])
    assert isinstance(result, Row), result
    citations: list[dict[str, Any]] = result.data["citations"]
    return citations


@pytest.mark.parametrize(
    ("answer", "quotes"),
    [
        ("The shop opens at nine.", ["The shop in Mill Street opens at nine."]),
        ("Dogs are waiting outside.", ["Dogs wait outside."]),
        ("24 hours.", ["On Sundays it is shut 24 hours."]),
        ("Dogs wait outside of the shop in Mill Street.", [SHOP[:57]]),
        (
            "It is shut on Sundays. It opens at nine.",
            ["On Sundays it is shut 24 hours.", "The shop in Mill Street opens at nine."],
        ),
    ],
)
def test_each_sentence_is_cited_from_where_it_is_said(answer: str, quotes: list[str]) -> None:
    found = cited(answer, document="shop.md", start=100, end=100 + len(SHOP))
    assert [one["quote"] for one in found] == quotes
    for one in found:
        assert SHOP[one["start"] - 100 : one["end"] - 100] == one["quote"]
        assert one["document"] == "shop.md"
        assert 0 < one["score"] <= 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("The shop opens at ten.", "The shop opens at ten."),
        ("Dogs wait outside. Cats sleep under tables.", "Cats sleep under tables."),
        ("Yes.", "Yes."),
    ],
)
def test_a_sentence_that_nothing_supports_is_named(answer: str, sentence: str) -> None:
    [result] = outcomes(LEXICAL, [row(answer=answer, context=SHOP)])
    assert isinstance(result, Rejection)
    assert (result.reason, result.detail["sentence"]) == ("not_supported", sentence)


def test_passages_of_several_documents_are_told_apart() -> None:
    passages = [
        {"text": "Cats sleep all day.", "document": "cats.md", "start": 7, "end": 26, "score": 2.0},
        {"text": "Dogs bark at 30 cats.", "document": "dogs.md", "start": 50, "end": 71},
    ]
    stage = Cite(field="answer", against="passages", min_similarity=None)
    found = cited("Dogs bark at cats. Cats sleep.", stage=stage, passages=passages)
    assert [(one["document"], one["start"], one["end"]) for one in found] == [
        ("dogs.md", 50, 71),
        ("cats.md", 7, 26),
    ]


def test_several_columns_have_places_of_their_own() -> None:
    stage = Cite(field="answer", against=("context", "related"), min_similarity=None)
    found = cited(
        "Dogs wait outside. The bus stops every half hour.",
        stage=stage,
        document="shop.md",
        start=0,
        related="The bus stops every half hour.",
        related_document="bus.md",
        related_start=40,
    )
    assert [(one["document"], one["start"]) for one in found] == [("shop.md", 39), ("bus.md", 40)]


def test_a_question_tells_equal_places_apart() -> None:
    context = "The Wren costs 40 euros. The Heron costs 40 euros too."
    for name, quote in (("Wren", context[:24]), ("Heron", context[25:])):
        stage = Cite(field="answer", query="question", min_similarity=None)
        question = f"What does the {name} cost?"
        [found] = cited("40 euros.", stage=stage, context=context, question=question)
        assert found["quote"] == quote


def test_meaning_supports_other_words_but_no_other_numbers() -> None:
    stage = Cite(field="answer", min_similarity=0.7)
    answers = ["Pups stay outdoors.", "Pups stay outdoors for 90 minutes."]
    rows = [row(id=f"r{i}", answer=a, context=SHOP) for i, a in enumerate(answers)]
    for cosine, expected in ((0.9, ["", "not_supported"]), (0.5, ["not_supported"] * 2)):
        assert reasons(outcomes(stage, rows, FakeContext(stage, cosine=cosine))) == expected


def test_rows_without_text_or_columns_say_so() -> None:
    rows = [row(answer="", context=SHOP), row(id="r1", answer="Dogs.", context=4)]
    rows += [row(id="r2", answer="Dogs."), row(id="r3", context=SHOP)]
    expected = ["empty", "not_text", "missing_column", "missing_column"]
    assert reasons(outcomes(LEXICAL, rows)) == expected


def test_an_empty_source_supports_nothing() -> None:
    stage = Cite(field="answer", against="passages")
    [result] = outcomes(stage, [row(answer="Dogs wait.", passages=[])])
    assert isinstance(result, Rejection)
    assert result.detail == {"sentence": "Dogs wait."}


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="a label is that of a model"):
        STAGES.build({"kind": "cite", "field": "answer", "label": "entails"})
    with pytest.raises(UsageError, match="name the column that holds the source"):
        STAGES.build({"kind": "cite", "field": "answer", "against": []})
    with pytest.raises(UsageError, match="unknown model 'nli'"):
        Cite(field="answer", model="nli").check(FakeJob())


def test_an_nli_model_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Cite(field="answer", min_similarity=None, model="nli")
    monkeypatch.setattr("pipelines.stages.cite.open_head", lambda *_: ("entailment", "neutral"))

    def script(model: str, call: Any) -> Reply:
        premise, hypothesis = (message.content for message in call.messages)
        assert (premise, call.decoding.target) == ("Dogs wait outside.", "entailment")
        return Reply("", "stop", logprob=-0.1 if "wait" in hypothesis else -3.0)

    rows = [row(answer="Dogs wait.", context=SHOP), row(id="r1", answer="Dogs.", context=SHOP)]
    assert reasons(outcomes(stage, rows, FakeContext(stage, script))) == ["", "not_entailed"]


@given(st.text(alphabet="aA1 .!?\n-\"'。\u2028#", max_size=60))
def test_spans_of_sentences_are_the_sentences(text: str) -> None:
    spans = sentence_spans(text)
    assert [text[start:end] for start, end in spans] == sentences(text)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_quotes_of_a_run_stand_in_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    ash = "\ufeff# Ärger\n\nDer Wren brennt. 👩\u200d👧 Er wiegt 78 Gramm.\r\n\r\nEnde gut."
    tin = "The Heron weighs 310 grams.  It works at minus 18 degrees.\n\nIt has a hose.\n"
    texts = {"a.md": ash, "b.txt": tin * 3}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    sources = [{"kind": "documents", "path": str(folder), "split": {"tokens": 12, "overlap": 4}}]
    stages = [{"kind": "cite", "field": "context", "min_similarity": None, "min_share": 0.3}]
    done = launched(tmp_path, sources=sources, stages=stages)
    lines = (done.folder / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    quotes = [citation for found in rows for citation in found["data"]["citations"]]
    assert len(quotes) >= 8
    for quote in quotes:
        text = texts[quote["document"]].removeprefix("\ufeff")
        assert text[quote["start"] : quote["end"]] == quote["quote"]


def test_answers_of_xquad_are_cited_from_their_sentence(test_data: Path, tmp_path: Path) -> None:
    with tarfile.open(test_data / "data" / "documents.tar.xz") as archive:
        member = next(one for one in archive.getnames() if one.endswith("xquad.en.json"))
        data = json.load(archive.extractfile(member) or pytest.fail(member))
    stage = Cite(field="answer", query="question", min_similarity=None, min_share=0.8)
    right = total = 0
    for article in data["data"][:12]:
        for paragraph in article["paragraphs"][:2]:
            for one in paragraph["qas"]:
                answer = one["answers"][0]
                columns = {"question": one["question"], "context": paragraph["context"]}
                result = stage_result(stage, answer["text"], columns)
                total += 1
                if isinstance(result, Row):
                    [*_, citation] = result.data["citations"]
                    at = answer["answer_start"]
                    right += citation["start"] <= at < citation["end"]
    assert total > 80
    assert right / total > 0.8


def stage_result(stage: Cite, answer: str, columns: dict[str, str]) -> Row | Rejection:
    [result] = outcomes(stage, [row(answer=answer, **columns)])
    return result
