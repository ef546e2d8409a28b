import json
import logging
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from jobs import launched, loaded_job
from source_views import View

from chains.calls import Call, Message
from chains.decoding.score import Score
from chains.embedding.scripted import ScriptedEmbedder
from chains.models import open_model
from chains.models.spec import ModelSpec
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Stage
from prompts.errors import SourceError, UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "chains"))

from tiny_models import save_classifier

T = TypeVar("T")

PETS = "# Cats\n\nCats purr when they are glad.\n\n# Dogs\n\nDogs bark at cats and at the post.\n"
MICE = "# Mice\n\nMice hide in a hole below the floor of the house."
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

    def indexes(self) -> Path | None:
        return None


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
    (said,) = [r.getMessage() for r in caplog.records if r.name == "pipelines.stages.corpus"]
    assert said.startswith("look: 2 files cannot be searched; first 'a.png': '.png'; read are")


def test_a_retriever_is_a_name_or_a_mapping() -> None:
    assert stage(retriever="bm25") == stage(retriever={"kind": "bm25"}) == stage()
    dumped = stage(retriever={"kind": "bm25", "k1": 2}).model_dump(mode="json")
    assert dumped["retriever"] == {"kind": "bm25", "k1": 2.0, "b": 0.4}
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


def documents_of(rows: list[dict[str, Any]], column: str = "passages") -> list[list[str]]:
    return [[found["document"] for found in row[column]] for row in rows]


def data_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["data"] for line in lines]


def test_several_columns_are_searched_for_together(folder: Path) -> None:
    context = FakeContext(folder)
    row = Row("a", (0,), "a", {"one": "fish", "two": "purr", "three": 3})
    (found,) = stage(query=["one", "two"]).run(iter([row]), context)  # type: ignore[arg-type]
    assert isinstance(found, Row)
    assert {p["document"] for p in found.data["passages"]} == {"pets.md", "sea/fish.txt"}
    assert stage(query=["one", "two"]).columns_needed() == {"one", "two"}
    (lost,) = stage(query=["one", "three"]).run(iter([row]), context)  # type: ignore[arg-type]
    assert isinstance(lost, Rejection)
    assert lost.detail["column"] == "three"


@pytest.mark.parametrize("retriever", ["bm25", "hybrid"])
def test_a_row_gets_nothing_of_its_own_document(folder: Path, retriever: str) -> None:
    (folder / "animals" / "more.md").write_text("More cats purr here.", encoding="utf-8")
    run = launched(
        folder,
        sources=[{"kind": "documents", "path": "animals"}],
        stages=[
            {
                "kind": "retrieve",
                "query": "context",
                "path": "animals",
                "retriever": retriever,
                "exclude_document": "document",
            }
        ],
        prompts={},
        embedder="scripted",
    )
    rows = data_of(run.folder)
    assert len(rows) >= 2
    for row in rows:
        assert row["document"] not in {found["document"] for found in row["passages"]}


class Counted(ScriptedEmbedder):
    """Counts what it is asked, over all runs of a test."""

    asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.asked.extend(texts)
        return super().encode(texts)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that runs embed."""
    monkeypatch.setattr(Counted, "asked", [])
    monkeypatch.setattr("chains.embedding.open_embedder", lambda name, offline: Counted())
    return Counted.asked


def test_of_a_document_that_changed_only_new_passages_are_embedded(
    folder: Path, embedded: list[str]
) -> None:
    settings = job(folder, retriever="dense", split={"tokens": 16, "overlap": 0})
    first = data_of(launched(folder, run="one", **settings).folder)
    assert sorted(embedded) == sorted(
        [
            "# Cats\n\nCats purr when they are glad.",
            "# Dogs\n\nDogs bark at cats and at the post.",
            FISH,
            "Why do cats purr?",
            "zebra",
            "fish",
        ]
    )
    embedded.clear()
    assert data_of(launched(folder, run="two", **settings).folder) == first
    assert embedded == []
    (folder / "animals" / "pets.md").write_text(PETS + "\n" + MICE, encoding="utf-8")
    launched(folder, run="three", **settings)
    assert embedded == [MICE]


def test_a_second_run_reads_the_index_and_not_the_ledger(folder: Path, embedded: list[str]) -> None:
    settings = job(folder, retriever="dense", split={"tokens": 16, "overlap": 0})
    first = data_of(launched(folder, run="one", **settings).folder)
    assert (folder / "indexes").is_dir()
    for file in folder.glob("ledger.sqlite*"):
        file.unlink()
    embedded.clear()
    assert data_of(launched(folder, run="two", **settings).folder) == first
    assert sorted(embedded) == ["Why do cats purr?", "fish", "zebra"]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges")
    save_classifier(folder / "value", "bert", ("relevance",))
    save_classifier(folder / "pair", "bert", ("no", "yes"))
    return folder


def reranking(folder: Path, judges: Path, **settings: Any) -> dict[str, Any]:
    retriever = {"kind": "rerank", "of": "bm25", **settings}
    models = {
        "writer": {"model": "scripted"},
        **{name: {"model": str(judges / name), "dtype": "float32"} for name in ("value", "pair")},
    }
    split = {"tokens": 16, "overlap": 0}
    return {**job(folder, retriever=retriever, k=3, split=split), "models": models}


@pytest.mark.parametrize("settings", [{"model": "value"}, {"model": "pair", "label": "yes"}])
def test_passages_are_reranked_by_what_the_classifier_says(
    folder: Path, judges: Path, settings: dict[str, str]
) -> None:
    run = launched(folder, **reranking(folder, judges, **settings))
    found = data_of(run.folder)[0]["passages"]
    assert {p["document"] for p in found} == {"pets.md"}
    assert len(found) == 2
    spec = ModelSpec(model=str(judges / settings["model"]), dtype="float32")
    model = open_model(spec)
    for passage in found:
        pair = (Message("user", "Why do cats purr?"), Message("user", passage["text"]))
        label = settings.get("label", "")
        ((_, (reply,)),) = next(
            iter(model.answer([Call(pair, Score(target=label, end=not label))]))
        )
        if label:
            assert passage["score"] == pytest.approx(math.exp(reply.logprob))
        else:
            assert passage["score"] == pytest.approx(1 / (1 + math.exp(-reply.score)))
    assert [p["score"] for p in found] == sorted((p["score"] for p in found), reverse=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"model": "valeu"}, "write 'value'"),
        ({"model": "pair"}, "it has several labels; fix: write 'label: ...' with one of no, yes"),
        ({"model": "pair", "label": "maybe"}, "no label 'maybe'"),
    ],
)
def test_a_judge_that_cannot_judge_is_refused_before_the_run(
    folder: Path, judges: Path, settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        loaded_job(folder, **reranking(folder, judges, **settings))
    assert raised.value.key == "stages.0.retriever.model"


def test_a_writer_is_no_judge(folder: Path, judges: Path) -> None:
    with pytest.raises(UsageError, match="the model is no classifier"):
        launched(folder, **reranking(folder, judges, model="writer"))


@pytest.mark.parametrize("query", ["", [], ["question", ""], 3])
def test_a_query_is_a_column_or_several(query: Any) -> None:
    with pytest.raises(UsageError, match="write the name of a column, or a list of names"):
        stage(query=query)
