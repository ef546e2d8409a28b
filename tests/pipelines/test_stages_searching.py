"""`related`, `hard_negatives` and `cover`: stages that look at all passages of a folder."""

import json
import re
import zlib
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeContext, outcomes, row
from jobs import launched, loaded_job

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Stage
from pipelines.stages.cover import k_means, nearest
from pipelines.stages.hard_negatives import holds
from pipelines.stages.related import spelled, stems
from prompts.errors import SourceError, UsageError

TESTING = "Priya Nandakumar stops the line when many stoves fail."
WELCOME = "The test room is led by Priya Nandakumar."
LUNCH = "Lunch is served at noon. Soup costs 3 euros."
OPENS = "The shop opens at nine. Dogs wait outside."
CANTEEN = "The canteen opens at noon. Dogs stay at home."
COPY = "Dogs wait outside the shop, which opens at nine."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "testing": TESTING,
        "welcome": WELCOME,
        "lunch": LUNCH,
        "opens": OPENS,
        "canteen": CANTEEN,
        "copy": COPY,
    }
    for name, text in texts.items():
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    return tmp_path / "docs"


def stage(kind: str, folder: Path, **settings: Any) -> Stage:
    return STAGES.build({"kind": kind, "path": str(folder), "split": "none", **settings})


class Letters(FakeContext):
    """Vectors of the words, so that texts with the same words are near."""

    def embed(self, texts: Any) -> Any:
        vectors = np.zeros((len(texts), 4096), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                vector[zlib.crc32(word.encode()) % 4096] += 1
            vector /= max(1.0, float(np.linalg.norm(vector)))
        return vectors


def one(stage: Stage, **columns: Any) -> Row | Rejection:
    [result] = outcomes(stage, [row(**columns)], Letters(stage))
    return result


def test_a_related_passage_shares_a_rare_name(folder: Path) -> None:
    found = one(stage("related", folder), context=TESTING, document="testing.md", start=0, end=54)
    assert isinstance(found, Row)
    assert found.data["related"] == WELCOME
    where = [found.data[f"related_{name}"] for name in ("document", "start", "end")]
    assert where == ["welcome.md", 0, len(WELCOME)]
    assert found.data["bridge"] == ["Priya Nandakumar"]
    assert found.history[-1]["document"] == "welcome.md"


def test_several_related_passages_give_a_row_each_the_rarest_bridge_first(folder: Path) -> None:
    rows = [row(context=OPENS, document="opens.md", start=0, end=len(OPENS))]
    several = stage("related", folder, k=3, rare=0.5, max_similarity=1.0)
    found = outcomes(several, rows, Letters(several))
    assert [each.data["related"] for each in found if isinstance(each, Row)] == [COPY, CANTEEN]
    assert [each.id == rows[0].id for each in found if isinstance(each, Row)] == [True, False]
    single = stage("related", folder, rare=0.5, max_similarity=1.0)
    alone = outcomes(single, rows, Letters(single))
    assert [each.data["related"] for each in alone if isinstance(each, Row)] == [COPY]


@pytest.mark.parametrize(
    "settings",
    [
        {"max_similarity": 0.2},
        {"min_similarity": 0.9, "max_similarity": 1.0},
        {"min_bridge": 3},
        {"candidates": 1},  # the row's own passage
    ],
)
def test_a_row_without_a_related_passage_is_rejected(folder: Path, settings: Any) -> None:
    found = one(stage("related", folder, **settings), context=TESTING, document="testing.md")
    assert isinstance(found, Rejection)
    assert found.reason == "no_related"


def test_a_related_passage_never_overlaps_with_the_rows_own(tmp_path: Path) -> None:
    text = "\n\n".join([TESTING, LUNCH, WELCOME, OPENS, TESTING, CANTEEN, WELCOME])
    (tmp_path / "all.md").write_text(text, encoding="utf-8")
    split = {"tokens": 20, "overlap": 8, "model": ""}
    settings = {"split": split, "rare": 1.0, "max_similarity": 1.0, "min_similarity": 0.0}
    stages = [{"kind": "related", "path": str(tmp_path / "all.md"), **settings}]
    source = {"kind": "documents", "path": str(tmp_path / "all.md"), "split": dict(split)}
    done = launched(tmp_path, sources=[source], stages=stages, embedder="scripted")
    rows = records(done.folder)
    assert rows
    for data in rows:
        assert data["related_end"] <= data["start"] or data["end"] <= data["related_start"]
        assert text[data["related_start"] : data["related_end"]] == data["related"]
    other = [{**stages[0], "other_document": True}]
    done = launched(tmp_path, "other", sources=[source], stages=other, embedder="scripted")
    assert records(done.folder) == []


def test_neighbours_of_a_bridge_stay_together() -> None:
    wanted = stems("Priya Nandakumar's lines")
    text = "Ask Priya Nandakumar. Priya knows the line."
    assert spelled(text, wanted) == ("Priya Nandakumar", "line")


def hard(folder: Path, **settings: Any) -> Row | Rejection:
    given = stage("hard_negatives", folder, query="question", **settings)
    columns = {"question": "Where do dogs wait at the shop that opens?", "answer": "at nine"}
    columns |= {"context": OPENS, "document": "opens.md"}
    return one(given, start=0, end=len(OPENS), **columns)


def test_a_hard_negative_shares_words_and_not_the_answer(folder: Path) -> None:
    found = hard(folder, answer="answer", margin=None)
    assert isinstance(found, Row)
    assert found.data["negative"] == CANTEEN
    [negative] = found.data["negatives"]
    assert list(negative) == ["text", "document", "start", "end", "score", "similarity"]
    assert (negative["document"], negative["start"]) == ("canteen.md", 0)


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        ({"answer": "answer"}, {"answer": 1, "positive": 1}),
        ({"max_similarity": 0.8}, {"positive": 1, "similar": 1}),
        ({"margin": 0.1}, {"margin": 1, "positive": 1}),
    ],
)
def test_a_passage_that_answers_is_left_out(
    folder: Path, settings: Any, left_out: dict[str, int]
) -> None:
    found = hard(folder, k=6, **{"max_similarity": 1.0, "margin": None, **settings})
    assert isinstance(found, Rejection)
    assert (found.reason, found.detail["wanted"]) == ("no_negative", 6)
    assert found.detail["left_out"] == left_out


def test_without_guards_the_false_negative_comes_first(folder: Path) -> None:
    found = hard(folder, max_similarity=1.0, margin=None)
    assert isinstance(found, Row)
    assert found.data["negative"] == COPY


def test_answers_are_found_as_whole_words() -> None:
    assert holds("It opens AT nine, daily.", "at nine")
    assert not holds("It opens at nineteen.", "at nine")
    assert not holds("Anything.", "?!")


def test_triplets_reach_the_trainer(folder: Path, tmp_path: Path) -> None:
    stages = [
        {"kind": "template", "forms": [{"question": "What of {{ context }}"}]},
        {"kind": "hard_negatives", "query": "question", "path": str(folder), "split": "none",
         "margin": None, "max_similarity": 0.999},
    ]  # fmt: skip
    done = launched(
        tmp_path,
        sources=[{"kind": "documents", "path": str(folder), "split": "none"}],
        stages=stages,
        exports=[{"kind": "hf_dataset", "format": "triplets", "images": False}],
        embedder="scripted",
    )
    import pyarrow.parquet as pq

    [file] = (done.folder / "dataset/data").glob("*.parquet")
    table = pq.read_table(file).to_pylist()
    assert len(table) >= 3
    assert set(table[0]) >= {"anchor", "positive", "negative"}
    assert all(line["positive"] != line["negative"] for line in table)


def test_clusters_are_those_of_brute_force() -> None:
    """Of all ways to part nine points, none is better than where k-means ends."""
    angles = np.array([0.0, 0.1, 0.2, 2.0, 2.1, 2.2, 4.0, 4.1, 4.3])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = nearest(vectors, k_means(vectors, 3)).tolist()

    def worth(parts: Any) -> float:
        members = np.array(parts)
        return sum(float(np.linalg.norm(vectors[members == p].sum(axis=0))) for p in range(3))

    assert worth(found) == pytest.approx(max(worth(p) for p in product(range(3), repeat=9)))
    assert nearest(vectors, k_means(vectors, 3)).tolist() == found
    assert len(k_means(vectors[[0, 0, 3]], 8)) == 2  # no more clusters than different vectors


def test_a_cluster_takes_its_share_and_no_more(folder: Path, tmp_path: Path) -> None:
    stages = [{"kind": "cover", "path": str(folder), "split": "none", "clusters": 3, "each": 1}]
    source = {"kind": "documents", "path": str(folder), "split": "none"}
    for block in (1, 2, 64):
        done = launched(
            tmp_path,
            f"run{block}",
            sources=[source],
            stages=stages,
            block=block,
            embedder="scripted",
        )
        clusters = Counter(data["cluster"] for data in records(done.folder))
        assert clusters == {0: 1, 1: 1, 2: 1}
        lines = (done.folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["reason"] for line in lines] == ["cluster_full"] * 3
        reports = json.loads((done.folder / "manifest.json").read_text())["reports"]
        assert reports["cluster"] == {"clusters": 3, "covered": 3, "documents": 3}


def test_without_each_the_rows_are_divided_among_clusters(folder: Path) -> None:
    given = stage("cover", folder, clusters=2)
    texts = [TESTING, WELCOME, LUNCH, OPENS, CANTEEN, COPY]
    rows = [row(id=f"r{n}", context=text) for n, text in enumerate(texts)]
    found = outcomes(given, rows, Letters(given, rows=3))
    counts = Counter(one.data["cluster"] for one in found if isinstance(one, Row))
    assert max(counts.values()) == 2  # three rows, two clusters
    everything = outcomes(given, rows, Letters(given))
    assert all(isinstance(one, Row) for one in everything)


@pytest.mark.parametrize("kind", ["related", "hard_negatives", "cover"])
def test_a_folder_that_is_not_there_is_found_before_the_run(kind: str, tmp_path: Path) -> None:
    settings = {"query": "topic"} if kind == "hard_negatives" else {"field": "topic"}
    if kind == "hard_negatives":
        settings["positive"] = "topic"
    with pytest.raises(SourceError) as caught:
        loaded_job(tmp_path, stages=[{"kind": kind, "path": "nowhere", **settings}])
    assert caught.value.key == "stages.0"


def test_bounds_that_leave_nothing_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"0\.9 is above max_similarity 0\.5"):
        stage("related", folder, min_similarity=0.9, max_similarity=0.5)


def records(run: Path) -> list[dict[str, Any]]:
    lines = (run / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line)["data"] for line in lines if line]
