"""pytrec_eval reads BEIR's judgements, lm-eval runs a task, Argilla reads records."""

import csv
import json
from pathlib import Path

import pytest
from exported_rows import exported
from tiny_models import save_causal

pytestmark = pytest.mark.slow


def test_pytrec_eval_scores_a_ranking_by_the_judgements(tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    folder = exported(tmp_path / "x", kind="beir")
    with (folder / "qrels/test.tsv").open(encoding="utf-8", newline="") as file:
        judged = list(csv.DictReader(file, delimiter="\t"))
    qrels: dict[str, dict[str, int]] = {}
    for line in judged:
        qrels.setdefault(line["query-id"], {})[line["corpus-id"]] = int(line["score"])
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    corpus = [json.loads(line)["_id"] for line in lines]
    right = {query: dict.fromkeys(found, 1.0) for query, found in qrels.items()}
    wrong = {query: {corpus[i - 1]: 1.0} for i, query in enumerate(qrels)}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg"})
    assert {score["ndcg"] for score in evaluator.evaluate(right).values()} == {1.0}
    assert {score["ndcg"] for score in evaluator.evaluate(wrong).values()} == {0.0}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("settings", "metric"),
    [({}, "exact_match,none"), ({"choices": "choices", "context": "context"}, "acc,none")],
    ids=["written", "choices"],
)
def test_lm_eval_runs_the_task(
    settings: dict[str, str], metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = exported(tmp_path / "x", kind="lm_eval", max_tokens=4, **settings)
    monkeypatch.chdir(folder)
    model = HFLM(pretrained=str(save_causal(tmp_path / "m")), device="cpu", batch_size=4)
    tasks = TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(
        model=model, tasks=["support_qa"], task_manager=tasks, bootstrap_iters=0
    )
    assert found["n-samples"]["support_qa"]["effective"] == 8
    assert 0 <= found["results"]["support_qa"][metric] <= 1


@pytest.mark.filterwarnings("ignore")
def test_argilla_reads_settings_and_records(tmp_path: Path) -> None:
    pytest.importorskip("argilla")
    from argilla._models import FieldModel, QuestionModel
    from argilla.records._io._json import JsonIO

    folder = exported(
        tmp_path / "x",
        kind="argilla",
        fields=["question", "answer"],
        questions={"verdict": ["good", "bad"]},
        suggest={"verdict": "label"},
    )
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    fields = [FieldModel.model_validate(field) for field in settings["fields"]]
    assert [field.name for field in fields] == ["question", "answer"]
    (question,) = [QuestionModel.model_validate(item) for item in settings["questions"]]
    assert [option["value"] for option in question.settings.options] == ["good", "bad"]
    records = JsonIO._records_from_json(folder / "records.json")
    assert [record.id for record in records] == [f"r{i}" for i in range(8)]
    assert records[1].suggestions["verdict"].value == "bad"
    assert dict(records[1].fields)["answer"] == "the cat number 1"
