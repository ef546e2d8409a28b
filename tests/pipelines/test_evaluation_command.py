"""`evaluate` through the command line, on jobs with a scripted model."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_line, textmill
from jobs import launched, prompt_text

from pipelines.evaluation.loading import load_columns
from pipelines.evaluation.report import markdown
from prompts.errors import UsageError

GOOD, BAD = "What a lovely, superb day it was.", "What an awful, dreadful day it was."


def label_job(**changes: Any) -> dict[str, Any]:
    """A job of forty labelled rows; every text has its topic in it."""
    topics = [f"place {number}" for number in range(10)]
    said = {"kind": "generate", "model": "writer", "prompt": "say", "adds": "text"}
    job: dict[str, Any] = {
        "rows": 24,
        "passes": 3,
        "embedder": "scripted",
        "models": {"writer": {"model": "scripted"}},
        "prompts": {"say": prompt_text("{{ label }} {{ topic }}", ["label", "topic"])},
        "sources": [
            {
                "kind": "topics",
                "topics": topics,
                "attributes": {"label": ["good", "bad"]},
                "balance": ["label"],
                "count": 40,
            }
        ],
        "stages": [said, {"kind": "dedup", "field": "text", "method": "exact"}],
    }
    return {**job, **changes}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in `run`, and real rows in `real.jsonl`."""
    path = tmp_path_factory.mktemp("evaluated")
    launched(path, **label_job())
    records = [
        {"text": f"{text} Number {number}.", "label": label}
        for number in range(60)
        for text, label in ((GOOD, "good"), (BAD, "bad"))
    ]
    write(path / "real.jsonl", records)
    write(path / "texts.jsonl", [{"said": record["text"]} for record in records])
    write(path / "one.jsonl", [{**record, "label": "good"} for record in records])
    write(path / "mixed.jsonl", [*records, {"text": "So so.", "label": "mixed"}])
    write(path / "few.jsonl", records[:6])
    write(path / "blank.jsonl", [{"text": " ", "label": "good"}])
    return path


def write(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_a_run_is_measured_in_all_ways_and_the_figures_repeat(folder: Path) -> None:
    words = ["evaluate", "run", "--real", "real.jsonl", "--seeds", "2", "--ablate", "dedup",
             "--zero-shot", "writer", "--perplexity", "writer"]  # fmt: skip
    ended = textmill(folder, *words, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    written = (folder / "run" / "evaluation.json").read_bytes()
    assert json.loads(written) == found
    assert found["data"]["rows"] == found["itself"]["rows"] == 24
    assert found["itself"]["labels"] == {"bad": 12, "good": 12}
    assert found["itself"]["perplexity"]["texts"] == 24
    assert found["reference"]["size"] == 24
    assert found["downstream"]["test_rows"] == 60
    assert found["downstream"]["vectors"]["real"]["accuracy"] == 1.0
    assert [len(found["downstream"]["curve"]), found["downstream"]["curve"][-1]["rows"]] == [4, 24]
    # A scripted model finds all labels of one length of name alike, "bad" before "good".
    assert found["downstream"]["zero_shot"]["raw"]["accuracy"] == pytest.approx(0.5, abs=0.2)
    assert found["ablation"][0]["without"] == "dedup"
    assert found["ablation"][0]["paid"] == 0
    assert str(folder) not in written.decode()
    again = textmill(folder, *words)
    assert "Without a stage\n  dedup rows     24\n" in again.out
    assert (folder / "run" / "evaluation.json").read_bytes() == written


def test_a_file_is_measured_and_written_where_one_says(folder: Path) -> None:
    ended = textmill(
        folder, "evaluate", "texts.jsonl", "--embedder", "scripted", "--out", "figures.json"
    )
    assert ended.code == 0, ended.err
    assert ended.out.startswith("By itself\n")
    found = json.loads((folder / "figures.json").read_text())
    assert set(found) == {"data", "embedder", "itself"}
    assert found["data"] == {
        "source": "texts.jsonl", "column": "said", "rows": 120, "blank": 0, "unlabelled": 0,
    }  # fmt: skip


def test_an_encoder_is_fine_tuned_on_synthetic_and_on_real_rows(folder: Path) -> None:
    records = [json.loads(line) for line in (folder / "real.jsonl").read_text().splitlines()][:64]
    write(folder / "some.jsonl", records)
    write(folder / "made.jsonl", [{**row, "text": "So: " + row["text"]} for row in records])
    words = ["evaluate", "made.jsonl", "--real", "some.jsonl", "--embedder", "scripted", "--seeds",
             "1", "--encoder", "embedded", "--out", "encoder.json"]  # fmt: skip
    ended = textmill(folder, *words)
    assert ended.code == 0, ended.err
    found = json.loads((folder / "encoder.json").read_text())["downstream"]["encoder"]
    assert found["synthetic"]["accuracy"] == found["real"]["accuracy"] == 1.0
    assert found["recovered"] == 1.0
    assert "encoder" in ended.out


def test_real_data_with_other_columns_are_named(folder: Path) -> None:
    ended = textmill(
        folder, "evaluate", "run", "--real", "texts.jsonl", "--real-text", "said",
        "--out", "other.json", "--json",
    )  # fmt: skip
    found = json.loads(ended.out)
    assert found["real"]["column"] == "said"
    assert "reference" in found
    assert "downstream" not in found


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "--real", "texts.jsonl", "--text", "text"],
         "--text: 'texts.jsonl' has no column 'text'; fix: ..."),
        (["run", "--real", "texts.jsonl", "--label", "label"],
         "--label: 'texts.jsonl' has no column 'label'; fix: ..."),
        (["run", "--real", "one.jsonl"],
         "--label: 'one.jsonl' has one label, 'good'; fix: give rows of two labels or more"),
        (["run", "--real", "mixed.jsonl"],
         "--real: 'mixed.jsonl' has the label 'mixed', which no synthetic row has; fix: ..."),
        (["run", "--real", "few.jsonl"], "--real: 'few.jsonl' leaves 3 rows to test on; fix: ..."),
        (["run", "--real", "nothing.jsonl"], "...no such file..."),
        (["run", "--text", "topik"], "--text: 'run' has no column 'topik'; fix: write 'topic'..."),
        (["blank.jsonl"], "--text: 'blank.jsonl' has no row with text in 'text'; fix: ..."),
        (["real.jsonl", "--ablate", "dedup"], "--ablate: it needs a job; fix: ..."),
        (["run", "--ablate", "dedup"], "--ablate: it needs real data; fix: give --real"),
        (["run", "--real", "real.jsonl", "--ablate", "dedupe"],
         "--ablate: unknown stage 'dedupe'; fix: write 'dedup'..."),
        (["run", "--real", "real.jsonl", "--ablate", "text"],
         "--ablate: the job cannot go without 'text': ...; fix: ..."),
        (["run", "--perplexity", "reader"], "--perplexity: unknown model 'reader'; fix: ..."),
        (["real.jsonl", "--encoder", "embedded"],
         "--encoder: it needs real data; fix: give --real"),
        (["texts.jsonl", "--real", "texts.jsonl", "--encoder", "embedded"],
         "--encoder: it needs labels in both sets; fix: ..."),
        (["run", "--real", "real.jsonl", "--seeds", "1", "--encoder", "scripted"],
         "a scripted encoder has nothing to train; fix: name a BERT-like encoder"),
        (["no-such-run"], "...no such run; fix: ..."),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_said_in_one_line(
    folder: Path, words: list[str], line: str
) -> None:
    ended = textmill(folder, "evaluate", *words)
    assert ended.code in {2, 3}, ended
    assert_line(ended.err.splitlines(keepends=True)[-1], line)
    assert ended.out == ""


def test_a_run_without_rows_is_not_evaluated(tmp_path: Path) -> None:
    stages = [{"kind": "length", "field": "topic", "unit": "words", "min": 9}]
    launched(tmp_path, **label_job(stages=stages, rows=None))
    ended = textmill(tmp_path, "evaluate", "run")
    assert_line(ended.err, "'run' has no rows; fix: evaluate one that has accepted rows")


def test_the_card_section_has_every_figure(folder: Path) -> None:
    evaluation = {
        "real": {"source": "a|b.jsonl", "rows": 10},
        "itself": {"rows": 1200, "vendi": 61.3, "labels": {"two\nlines": 7}},
        "downstream": {"vectors": {"real": {"accuracy": 0.75, "low": 0.7, "high": 0.8}}},
        "ablation": [{"without": "dedup", "rows": 3}],
    }
    text = markdown(evaluation)
    assert "Real data: a\\|b.jsonl, 10 rows." in text
    assert "| rows with text | 1,200 |" in text
    assert r"| vectors real | 75.0% \(70.0% to 80.0%\) |" in text
    assert "| dedup rows | 3 |" in text
    assert "| labels two lines | 7 |" in text


def test_columns_of_exchanges_are_read_together(folder: Path) -> None:
    write(folder / "pairs.jsonl", [{"q": "a", "a": "b"}, {"q": "c", "a": " "}, {"q": "d"}])
    assert load_columns(str(folder / "pairs.jsonl"), ("q", "a")) == [("a", "b")]
    with pytest.raises(UsageError, match="has no column 'x'"):
        load_columns(str(folder / "pairs.jsonl"), ("q", "x"))


def test_a_scripted_model_is_not_fine_tuned(folder: Path) -> None:
    ended = textmill(
        folder, "evaluate", "run", "--real", "real.jsonl", "--seeds", "1", "--fine-tune", "writer",
        "--prompt", "label", "--completion", "text",
    )  # fmt: skip
    assert_line(
        ended.err.splitlines(keepends=True)[-1],
        "a model that is not here cannot be trained; fix: name a local model",
    )
