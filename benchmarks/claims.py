"""What `claims` says of sentences that a source supports and of ones that it does not.

`python -m benchmarks.claims DOCUMENTS SIMILARITY`, the folders with qa_xquad and para_mrpc: the
sentences of XQuAD's English paragraphs against their own paragraph, as they stand and with a number
or a name changed, and against the paragraph before; and the first 1,000 pairs of MRPC, where people
said whether two sentences mean the same.
"""

import csv
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pipelines.job import load_job
from pipelines.launch import Options, launch

Pairs = list[tuple[str, str]]
NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")
OTHER_NAME = "Wolverton"
PAIRS = 1000


def measure(documents: Path, similarity: Path) -> Iterator[tuple[str, str]]:
    """The share of texts with an unsupported claim, by sort of text."""
    for name, pairs in (*_paragraphs(documents), *_rewordings(similarity)):
        for near in (0.7, None):
            flagged = sum(bool(found) for found in _claims(pairs, near))
            said = "words and meaning" if near else "words alone"
            yield f"{name}, {len(pairs):,}; {said}", f"{flagged / len(pairs):.1%}"


def _claims(pairs: Pairs, near: float | None) -> Iterator[list[object]]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        rows = ({"text": said, "source": source} for said, source in pairs)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
        stage = {"kind": "claims", "field": "text", "against": "source", "similarity": near}
        settings = {
            "name": "claims",
            "sources": [{"kind": "records", "path": "rows.jsonl"}],
            "stages": [{**stage, "action": "flag", "adds": "found"}],
        }
        (folder / "job.yaml").write_text(json.dumps(settings), encoding="utf-8")
        launch(load_job(folder / "job.yaml"), folder / "run", Options())
        for line in (folder / "run/rows.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            yield json.loads(line)["data"]["found"]


def _paragraphs(folder: Path) -> Iterator[tuple[str, Pairs]]:
    data = json.loads((folder / "qa_xquad/xquad.en.json").read_text(encoding="utf-8"))["data"]
    texts = [paragraph["context"] for article in data for paragraph in article["paragraphs"]]
    own = [(s, t) for t in texts for s in re.split(r"(?<=[.?!]) (?=[A-Z])", t) if len(s) > 40]
    before = dict(zip(texts, [texts[-1], *texts], strict=False))
    numbers = [(re.sub(r"\d+", _other, s, count=1), t) for s, t in own if re.search(r"\d", s)]
    names = [(NAME.sub(OTHER_NAME, s, count=1), t) for s, t in own if NAME.search(s)]
    yield "sentences of the source", own
    yield "a number changed", numbers
    yield "a name changed", names
    yield "sentences of another paragraph", [(s, before[t]) for s, t in own]


def _other(found: re.Match[str]) -> str:
    return str(int(found[0]) + 7919)


def _rewordings(folder: Path) -> Iterator[tuple[str, Pairs]]:
    path = folder / "para_mrpc/msr_paraphrase_train.txt"
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(islice(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE), PAIRS))
    for label, name in (("1", "rewordings of the source"), ("0", "alike, but not the same")):
        found = [line for line in lines if line["Quality"] == label]
        yield name, [(line["#1 String"], line["#2 String"]) for line in found]


if __name__ == "__main__":
    for figure, value in measure(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"  {figure:<70} {value}")
