"""How much of four evaluation sets `decontaminate` finds again, copied and lightly reworded.

`TEXTMILL_TEST_DATA=DATA python -m benchmarks.decontamination`, where DATA has the archives of data
sets. One job of 10,000 rows against GSM8K (test), HumanEval, MBPP and TruthfulQA: of each set 100
items as they are (a third of them inside a longer text, a third in capitals without punctuation),
100 reworded by the rules below, and for the rest questions and instructions that have nothing to do
with the sets. Further rows are from GSM8K's own training set, which is the same kind of text.
"""

import csv
import gzip
import json
import os
import re
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

ROWS = 10_000
PLANTED = 100
TRAIN = 2_000
SETS = ("gsm8k", "humaneval", "mbpp", "truthfulqa")
SIMILARITIES = (0.8, 0.85, 0.9)

# Light rewording: words and phrases of the same meaning; every number stays.
_SAME = (
    ("how many", "what number of"), ("how much", "what amount of"), ("each", "every single"),
    ("per", "for every"), ("buys", "purchases"), ("bought", "purchased"), ("buy", "purchase"),
    ("gets", "receives"), ("got", "received"), ("gives", "hands"), ("gave", "handed"),
    ("wants to", "would like to"), ("needs to", "has to"), ("decides to", "chooses to"),
    ("big", "large"), ("small", "little"), ("kids", "children"), ("begins", "starts"),
    ("total", "overall"), ("then", "after that"), ("also", "in addition"), ("makes", "produces"),
    ("made", "produced"), ("costs", "is priced at"), ("spends", "pays"), ("spent", "paid"),
    ("went to", "visited"), ("goes to", "visits"), ("works", "is working"), ("left", "remaining"),
    ("every day", "daily"), ("a day", "each day"), ("friends", "mates"), ("home", "house"),
    ("write a function to", "implement a function that can"), ("find", "determine"),
    ("given", "provided"), ("check", "test"), ("return", "give back"), ("list", "sequence"),
    ("string", "text"), ("number", "figure"), ("numbers", "figures"), ("python", "Python 3"),
    ("what happens", "what will happen"), ("who", "which person"), ("where", "in which place"),
    ("why", "for what reason"), ("is it true that", "would it be right to say that"),
    ("can you", "are you able to"), ("should", "ought to"), ("people", "persons"),
    ("true", "correct"), ("the best", "the finest"), ("because", "since"), ("using", "by means of"),
    ("if you", "in case you"), ("and", "as well as"),
)  # fmt: skip
_REPLACEMENT = dict(_SAME)
_PHRASES = "|".join(sorted(_REPLACEMENT, key=len, reverse=True))
_KNOWN = re.compile(rf"\b(?:{_PHRASES})\b", re.I)


def measure() -> Iterator[tuple[str, str]]:
    """Shares found by set and way, and what is taken out of rows that hold no item."""
    from pipelines.job import load_job
    from pipelines.launch import Options, launch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = _sets(folder)
        rows = _rows(sets, _unpacked(folder))
        _write(folder / "rows.jsonl", rows)
        job = folder / "job.yaml"
        job.write_text(json.dumps(_job(min(SIMILARITIES))))
        start = time.process_time()
        done = launch(load_job(job), folder / "run", Options())
        seconds = time.process_time() - start
        found = [json.loads(line) for line in (done.folder / "rejected.jsonl").open()]
    yield from _figures(Counter(row["from"] for row in rows), found)
    yield (
        "CPU a row, embeddings and the reading of the sets included",
        (f"{1000 * seconds / len(rows):.1f} ms ({len(rows):,} rows)"),
    )
    for name, texts in sets.items():
        yield f"{name}: items with another one within {SIMILARITIES}", _neighbours(texts)


def _neighbours(texts: list[str]) -> str:
    """The shares of different items that have another one that near."""
    import numpy as np

    from chains.embedding import open_embedder

    different = list(dict.fromkeys(texts))
    vectors = open_embedder("embedded").encode(different)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.max(axis=1)
    shares = ", ".join(f"{(nearest >= bound).mean():.1%}" for bound in SIMILARITIES)
    return f"{shares} of {len(different)}"


def reworded(text: str) -> str:
    """`text` with other words of the same meaning, clauses in another order, its question first."""
    replaced = _KNOWN.sub(lambda found: _REPLACEMENT[found[0].lower()], text)
    sentences = re.split(r"(?<=[.?!])\s+", replaced.strip())
    moved = [_clauses_swapped(sentence) for sentence in sentences]
    if len(moved) > 2 and moved[-1].endswith("?"):
        moved = [moved[-1], *moved[:-1]]
    return " ".join(moved)


def _clauses_swapped(sentence: str) -> str:
    """`If A, b.` -> `B, if A.`, for a sentence with one comma."""
    found = re.fullmatch(r"(If|When|After|Before|In|On|At|For) ([^,]+), ([^,]+)([.?!])", sentence)
    if not found:
        return sentence
    first, rest, second, mark = found.groups()
    return f"{second[0].upper()}{second[1:]}, {first.lower()} {rest}{mark}"


def _figures(rows: Counter[str], found: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for name in SETS:
        for sort in ("copy", "reworded"):
            mine = [r for r in found if r["data"]["from"] == f"{name} {sort}"]
            copies = sum("copy" in r["reason"] for r in mine)
            near = [_reached(mine, bound) for bound in SIMILARITIES]
            total = rows[f"{name} {sort}"]
            both = ", ".join(f"{100 * (copies + n) / total:.0f} %" for n in near)
            yield (
                f"{name}, {sort}: by n-grams; with cosines {SIMILARITIES}",
                (f"{100 * copies / total:.0f} %; {both} of {total}"),
            )
    for sort in ("questions", "background", "gsm8k train"):
        mine = [r for r in found if r["data"]["from"] == sort]
        copies = Counter(r["detail"]["set"] for r in mine if "copy" in r["reason"])
        near = [_reached(mine, bound) for bound in SIMILARITIES]
        yield (
            f"{sort}: by n-grams; by cosines {SIMILARITIES}",
            (f"{dict(copies)}; {near} of {rows[sort]:,}"),
        )
        for r in mine:
            if "copy" in r["reason"] or r["detail"]["similarity"] >= SIMILARITIES[0]:
                yield f"   {r['reason']}: {r['data']['text'][:90]}", r["detail"]["text"][:90]


def _reached(found: list[dict[str, Any]], bound: float) -> int:
    return sum(r["detail"].get("similarity", 0) >= bound for r in found)


def _rows(sets: dict[str, list[str]], data: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for name, texts in sets.items():
        drawn = _drawn(range(len(texts)))
        for place, number in enumerate(drawn[:PLANTED]):
            rows.append({"text": _disguised(texts[number], place), "from": f"{name} copy"})
        for number in drawn[-PLANTED:]:
            rows.append({"text": reworded(texts[number]), "from": f"{name} reworded"})
    questions, background, train = _others(data)
    rows += [{"text": text, "from": "questions"} for text in questions]
    rows += [{"text": text, "from": "gsm8k train"} for text in train]
    missing = ROWS - len(rows)
    rows += [{"text": text, "from": "background"} for text in background[:missing]]
    return _drawn(rows)


def _disguised(text: str, place: int) -> str:
    if place % 3 == 0:
        return text
    if place % 3 == 1:
        return f"Here is a task for today.\n\n{text}\n\nThink step by step, then say the answer."
    return re.sub(r"[^\w\s'’.]|\.(?!\d)", " ", text).upper()  # noqa: RUF001


def _others(data: Path) -> tuple[list[str], list[str], list[str]]:
    """Unrelated questions, unrelated questions and instructions, and GSM8K's training set."""
    paragraphs = json.loads((data / "documents/qa_xquad/xquad.en.json").read_text())["data"]
    xquad = [q["question"] for d in paragraphs for p in d["paragraphs"] for q in p["qas"]]
    trec = (data / "classification/cls_trec/TREC.train.all").read_text(errors="replace")
    asked = [line.split(" ", 1)[1] for line in trec.splitlines()]
    quora = (data / "similarity/para_quora/train_1_first20000.txt").read_text().splitlines()
    alpaca = json.loads((data / "instructions/instr_alpaca_1k/alpaca_en_demo.json").read_text())
    told = [f"{row['instruction']} {row['input']}".strip() for row in alpaca]
    train = data / "benchmarks/decontam_gsm8k/train.jsonl"
    sums = [json.loads(line)["question"] for line in train.open()]
    return _drawn(xquad)[:500] + _drawn(asked)[:500], told + _drawn(quora), _drawn(sums)[:TRAIN]


def _drawn(items: Any) -> list[Any]:
    """The items in an order that depends on nothing but themselves."""
    return sorted(items, key=lambda item: sha256(repr(item).encode()).digest())


def _sets(folder: Path) -> dict[str, list[str]]:
    """Write the sets as files of one column, `text`; their texts."""
    source = _unpacked(folder) / "benchmarks"
    read = {
        "gsm8k": [r["question"] for r in _jsonl(source / "decontam_gsm8k/test.jsonl")],
        "humaneval": [r["prompt"] for r in _jsonl(source / "decontam_code/HumanEval.jsonl.gz")],
        "mbpp": [r["text"] for r in _jsonl(source / "decontam_code/mbpp.jsonl")],
    }
    with (source / "decontam_truthfulqa/TruthfulQA.csv").open(newline="") as file:
        read["truthfulqa"] = [record["Question"] for record in csv.DictReader(file)]
    for name, texts in read.items():
        _write(folder / f"{name}.jsonl", [{"text": text} for text in texts])
    return read


def _unpacked(folder: Path) -> Path:
    target = folder / "data"
    if not target.exists():
        archives = Path(os.environ["TEXTMILL_TEST_DATA"]) / "data"
        for name in ("benchmarks", "documents", "classification", "similarity", "instructions"):
            with tarfile.open(archives / f"{name}.tar.xz") as archive:
                archive.extractall(target, filter="data")
    return target


def _jsonl(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def _write(path: Path, records: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def _job(similarity: float) -> dict[str, Any]:
    sets = {name: {"path": f"{name}.jsonl", "columns": ["text"]} for name in SETS}
    stage = {"kind": "decontaminate", "field": "text", "sets": sets, "similarity": similarity}
    source = {"kind": "records", "path": "rows.jsonl"}
    return {"name": "decontamination", "block": 500, "sources": [source], "stages": [stage]}


if __name__ == "__main__":
    for figure, value in measure():
        print(f"  {figure:<78} {value}")
