import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from jobs import launched, loaded_job
from source_views import View

from chains.models.spec import ModelSpec
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Stage
from prompts.errors import SourceError, UsageError

T = TypeVar("T")

PETS = "# Cats\n\nCats purr when they are glad.\n\n# Dogs\n\nDogs bark at cats and at the post.\n"
FISH = "Fish swim in the sea."


class FakeContext:
    """As much of a context as the stage uses; counts how often something shared is made."""

    def __init__(self, folder: Path) -> None:
        self._view = View(folder)
        self._shared: dict[str, Any] = {}
        self.made = 0

    def shared(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._shared:
            self.made += 1
            self._shared[key] = make()
        result: T = self._shared[key]
        return result

    def path(self, text: str) -> Path:
        return self._view.path(text)

    def spec(self, model: str) -> ModelSpec:
        return self._view.model(model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "animals" / "sea").mkdir(parents=True)
    (tmp_path / "animals" / "pets.md").write_text(PETS, encoding="utf-8")
    (tmp_path / "animals" / "sea" / "fish.txt").write_text(FISH, encoding="utf-8")
    return tmp_path


def stage(**settings: Any) -> Stage:
    split = {"tokens": 16, "overlap": 0}
    given = {"kind": "retrieve", "query": "question", "path": "animals", "split": split}
    return STAGES.build({**given, **settings})


def outcomes(context: FakeContext, *questions: Any, **settings: Any) -> list[Outcome]:
    rows = [
        Row(f"id{number}", (number,), f"id{number}", {"question": question})
        for number, question in enumerate(questions)
    ]
    return list(stage(**settings).run(iter(rows), context))  # type: ignore[arg-type]


def test_passages_are_put_into_the_row_with_their_spans(folder: Path) -> None:
    (row,) = outcomes(FakeContext(folder), "Why do cats purr?")
    assert isinstance(row, Row)
    first, second = row.data["passages"]
    assert (first["text"], second["text"]) == (
        "# Cats\n\nCats purr when they are glad.",
        "# Dogs\n\nDogs bark at cats and at the post.",
    )
    for passage in (first, second):
        assert list(passage) == ["text", "document", "start", "end", "score"]
        assert PETS[passage["start"] : passage["end"]] == passage["text"]
        assert passage["document"] == "pets.md"
    assert first["score"] > second["score"] > 0
    assert row.history == ({"stage": "", "retriever": "bm25", "passages": 2},)


def test_every_row_leaves_once_and_in_order_with_its_reason(folder: Path) -> None:
    found = outcomes(FakeContext(folder), "fish", "zebra", 7, "", "post")
    assert [getattr(outcome, "reason", "row") for outcome in found] == [
        "row",
        "no_passage",
        "not_text",
        "no_passage",
        "row",
    ]
    assert [getattr(o, "row", o).id for o in found] == [f"id{number}" for number in range(5)]
    lost = Row("x", (0,), "x", {"other": "fish"})
    (outcome,) = stage().run(iter([lost]), FakeContext(folder))  # type: ignore[arg-type]
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.row) == ("missing_column", lost)


def test_k_and_min_score_bound_what_is_found(folder: Path) -> None:
    (row,) = outcomes(FakeContext(folder), "cats", k=1, adds="found")
    assert isinstance(row, Row)
    assert len(row.data["found"]) == 1
    score = row.data["found"][0]["score"]
    (outcome,) = outcomes(FakeContext(folder), "cats", min_score=score)
    assert isinstance(outcome, Rejection)
    assert outcome.detail == {"column": "question", "min_score": score}


def test_the_index_is_built_once_a_run(folder: Path) -> None:
    context = FakeContext(folder)
    outcomes(context, "fish")
    outcomes(context, "cats", "dogs")
    assert context.made == 1


def test_documents_that_cannot_be_searched_are_reported(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "animals" / "a.png").write_bytes(b"\x89PNG")
    (folder / "animals" / "empty.md").touch()
    with caplog.at_level(logging.WARNING):
        (row,) = outcomes(FakeContext(folder), "fish", name="look")
    assert isinstance(row, Row)
    (said,) = [r.getMessage() for r in caplog.records if r.name == "pipelines.stages.retrieve"]
    assert said.startswith("look: 2 files cannot be searched; first 'a.png': '.png'; read are")


def test_a_retriever_is_a_name_or_a_mapping() -> None:
    assert stage(retriever="bm25") == stage(retriever={"kind": "bm25"}) == stage()
    dumped = stage(retriever={"kind": "bm25", "k1": 2}).model_dump(mode="json")
    assert dumped["retriever"] == {"kind": "bm25", "k1": 2.0, "b": 0.75}
    assert STAGES.build(dumped) == stage(retriever={"kind": "bm25", "k1": 2})
    with pytest.raises(UsageError, match="write 'bm25'"):
        stage(retriever="bm52")


def test_documents_and_models_are_checked_before_the_run(folder: Path) -> None:
    view = View(folder)
    stage().check(view)
    assert (stage().columns_needed(), stage().columns_added()) == ({"question"}, {"passages"})
    with pytest.raises(SourceError, match="no such file or folder: 'nowhere'"):
        stage(path="nowhere").check(view)
    with pytest.raises(UsageError, match="unknown model 'wirter'") as raised:
        stage(split={"model": "wirter"}).check(view)
    assert raised.value.key == "split.model"


def job(folder: Path, **settings: Any) -> dict[str, Any]:
    (folder / "questions.jsonl").write_text(
        '{"question": "Why do cats purr?"}\n{"question": "zebra"}\n{"question": "fish"}\n',
        encoding="utf-8",
    )
    retrieve = {"kind": "retrieve", "query": "question", "path": "animals", "k": 1, **settings}
    return {
        "sources": [{"kind": "records", "path": "questions.jsonl"}],
        "stages": [retrieve],
        "prompts": {},
    }


def test_a_job_retrieves(folder: Path) -> None:
    run = launched(folder, **job(folder))
    lines = (run.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    data = [json.loads(line)["data"] for line in lines]
    assert [row["passages"][0]["document"] for row in data] == ["pets.md", "sea/fish.txt"]
    rejected = (run.folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["reason"] for line in rejected] == ["no_passage"]


def test_a_job_without_the_query_column_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="needs column 'qestion'"):
        loaded_job(folder, **job(folder, query="qestion"))
