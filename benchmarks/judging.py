"""Labels by likelihood and labels by reply, of the embedded model, on labelled texts.

SST-2 (2 labels), AG News (4), TREC (6) and Banking77 (77), through the stages of a job: `classify`
with each calibration, and `generate` with the labels as the choices of the reply. The label prior
is fitted on other texts of the set, without their labels. It takes minutes for each set, so it is
run by hand, with the folder of the sets and the most texts of each:
`python -m benchmarks.judging FOLDER 400 [SET ...]`. docs/quality.md keeps the figures.
"""

import csv
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pipelines.job import load_job
from pipelines.launch import Options, launch

Labelled = list[tuple[str, str]]

CALIBRATION = 60  # texts that the prior is fitted on


class Set(NamedTuple):
    """A set of labelled texts and how the model is asked.

    Attributes:
        read: Texts and labels of a folder.
        said: Label -> how it is said.
        question: What replies answer.
        templates: Of `classify`.
    """

    read: Callable[[Path], Labelled]
    said: dict[str, str]
    question: str
    templates: tuple[dict[str, Any], ...]


def _sst2(folder: Path) -> Labelled:
    lines = (folder / "cls_sst2/stsa.binary.dev").read_text(encoding="utf-8").splitlines()
    return [(text, number) for number, _, text in (line.partition(" ") for line in lines)]


def _ag_news(folder: Path) -> Labelled:
    with (folder / "cls_ag_news/ag_news_first3800.csv").open(encoding="utf-8") as file:
        return [(f"{row[1]} {row[2]}", row[0]) for row in csv.reader(file)]


def _trec(folder: Path) -> Labelled:
    lines = (folder / "cls_trec/TREC.train").read_text(encoding="latin-1").splitlines()
    return [
        (text, label.split(":")[0]) for label, _, text in (each.partition(" ") for each in lines)
    ]


def _banking77(folder: Path) -> Labelled:
    with (folder / "cls_banking77/train.csv").open(encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _categories(folder: Path) -> dict[str, str]:
    names = json.loads((folder / "cls_banking77/categories.json").read_text(encoding="utf-8"))
    return {name: name.replace("_", " ").strip("?").lower() for name in names}


SETS = {
    "SST-2": Set(
        _sst2,
        {"0": "negative", "1": "positive"},
        "Is the review positive or negative?",
        (
            {"prompt": "classify/sentiment@film", "reply": "The review is {label}"},
            {
                "prompt": "classify/sentiment@one_word",
                "reply": "It was {label}",
                "words": {"0": "terrible", "1": "great"},
            },
        ),
    ),
    "AG News": Set(
        _ag_news,
        {"1": "world politics", "2": "sports", "3": "business", "4": "technology"},
        "What is this news about?",
        ({"prompt": "classify/text", "reply": "The news is about {label}"},),
    ),
    "TREC": Set(
        _trec,
        {
            "ABBR": "an abbreviation",
            "DESC": "a description",
            "ENTY": "a thing",
            "HUM": "a person",
            "LOC": "a place",
            "NUM": "a number",
        },
        "What does the question ask for?",
        ({"prompt": "ask", "reply": "The question asks for {label}"},),
    ),
    "Banking77": Set(
        _banking77,
        {},
        "What is it about?",
        ({"prompt": "ask", "reply": "It is about {label}"},),
    ),
}


def measure(folder: Path, most: int, names: list[str]) -> Iterator[tuple[str, str]]:
    """The share of right labels of each way, beside chance and the most frequent label."""
    for name in names:
        given = SETS[name]
        given = given if given.said else given._replace(said=_categories(folder))
        texts = given.read(folder)
        random.Random(0).shuffle(texts)
        others, rows = texts[:CALIBRATION], texts[CALIBRATION : CALIBRATION + most]
        frequent = Counter(label for _, label in rows).most_common(1)[0][1]
        yield f"{name}, {len(rows)} texts, chance", f"{1 / len(given.said):.1%}"
        yield f"{name}, the most frequent label", f"{frequent / len(rows):.1%}"
        for way, stage in _ways(given):
            found = _run(given, rows, others, stage)
            yield f"{name}, {way}", f"{_right(given, found):.1%} right"
        if len(given.templates) > 1:  # a prior of the texts themselves needs no others
            rows = texts[: CALIBRATION + most]
            stage = _classify(given, [*range(len(given.templates))], _prior("rows", len(rows)))
            found = _run(given, rows, others, {**stage, "scores": "scores"})
            yield f"{name}, {len(rows)} texts, their own prior", f"{_right(given, found):.1%} right"
            cut = _evenly(given, found)
            yield f"{name}, {len(rows)} texts, cut evenly", f"{_right(given, cut):.1%} right"


def _ways(given: Set) -> Iterator[tuple[str, dict[str, Any]]]:
    prior = _prior("others", CALIBRATION)
    if len(given.said) < 20:
        reply = {"kind": "generate", "prompt": "choose", "adds": "found", "attempts": 1}
        yield "reply held to the labels", {**reply, "decoding": {"strategy": "greedy"}}
    for number in range(len(given.templates)):
        which = f"likelihood {number + 1}"
        yield f"{which}, not calibrated", _classify(given, [number], {"method": "none"})
        yield f"{which}, content-free", _classify(given, [number], {"texts": ["N/A", "..."]})
        yield f"{which}, prior of other texts", _classify(given, [number], prior)
    if len(given.templates) > 1:
        every = [*range(len(given.templates))]
        yield "mean of the templates, prior of other texts", _classify(given, every, prior)


def _prior(file: str, rows: int) -> dict[str, Any]:
    return {"method": "prior", "file": f"{file}.jsonl", "rows": rows}


def _classify(given: Set, which: list[int], calibrate: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "classify",
        "field": "text",
        "labels": given.said,
        "templates": [given.templates[number] for number in which],
        "calibrate": calibrate,
        "adds": "found",
    }


def _right(given: Set, found: list[dict[str, Any]]) -> float:
    """The share of texts whose label was found, as a name or as it is said."""
    said = given.said
    return fmean(said.get(row["right"]) == said.get(row["found"], row["found"]) for row in found)


def _evenly(given: Set, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The texts with two labels given anew: the half more probable of the second, and the rest."""
    first, second = given.said
    ordered = sorted(found, key=lambda row: row["scores"][second])
    half = len(ordered) // 2
    return [{**row, "found": first if n < half else second} for n, row in enumerate(ordered)]


def _run(
    given: Set, rows: Labelled, others: Labelled, stage: dict[str, Any]
) -> list[dict[str, Any]]:
    """What a job makes of the texts; the ledger is kept, so that the ways share what they ask."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, texts in (("rows", rows), ("others", others)):
            lines = (json.dumps({"text": text, "right": label}) + "\n" for text, label in texts)
            (folder / f"{file}.jsonl").write_text("".join(lines), encoding="utf-8")
        question = f"{{{{ text }}}}\n\n{given.question}"
        choose = f"{question} Answer with one of: {', '.join(given.said.values())}"
        output = {"form": "choice", "choices": [*given.said.values()]}
        job = {
            "name": "judging",
            "models": {"judge": {"model": "embedded"}},
            "prompts": {"ask": _prompt(question), "choose": _prompt(choose, output=output)},
            "sources": [{"kind": "records", "path": "rows.jsonl"}],
            "stages": [{**stage, "model": "judge"}],
        }
        (folder / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
        ledger = Path(tempfile.gettempdir()) / "textmill-benchmark-judging.sqlite"
        done = launch(load_job(folder / "job.yaml"), folder / "run", Options(ledger=ledger))
        written = (done.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["data"] for line in written]


def _prompt(text: str, **more: Any) -> str:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"variables": {"text": "a text"}, "messages": messages, **more})


if __name__ == "__main__":
    for row_name, figure in measure(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or [*SETS]):
        print(f"  {row_name:<56} {figure}", flush=True)
