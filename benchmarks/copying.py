"""What `copying` says of questions, answers and sentences against the paragraph they belong to.

`TEXTMILL_TEST_DATA=DATA python -m benchmarks.copying`: XQuAD, English; the questions that people
wrote about a paragraph, the answers that they marked in it, its own sentences, these with every
eighth word replaced, and the paragraph before.
"""

import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

EVERY = 8  # words, of which one is replaced


def measure() -> Iterator[tuple[str, str]]:
    """The share that each bound rejects, by sort of text."""
    from pipelines.stages.overlap.copying import Copying

    defaults = Copying(field="text", against="source")
    for name, pairs in _pairs(_paragraphs()).items():
        found = [_compared(text, source, defaults.n) for text, source in pairs]
        share = sum(each.share > defaults.max_share for each in found) / len(found)
        spans = [sum(e.longest > most for e in found) / len(found) for most in (12, 25)]
        yield (
            f"{name}, {len(found):,}: max_share {defaults.max_share}; max_span 12; 25",
            (f"{share:.1%}; {spans[0]:.1%}; {spans[1]:.1%}"),
        )


def _compared(text: str, source: str, n: int) -> Any:
    from pipelines.stages.overlap.words import common, encoded, words

    return common(*encoded(words(text), words(source)), n)


def _pairs(paragraphs: list[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    texts = [paragraph["context"] for paragraph in paragraphs]
    asked = [(q, p["context"]) for p in paragraphs for q in p["qas"]]
    own = [(s, t) for t in texts for s in re.split(r"(?<=[.?!]) ", t) if len(s) > 40]
    return {
        "questions": [(question["question"], text) for question, text in asked],
        "answers, extracted": [(q["answers"][0]["text"], text) for q, text in asked],
        "sentences": own,
        "sentences, every eighth word another": [(_edited(s), t) for s, t in own],
        "the paragraph before": list(pairwise(texts)),
    }


def _edited(sentence: str) -> str:
    words = sentence.split()
    words[EVERY // 2 :: EVERY] = ["thing"] * len(words[EVERY // 2 :: EVERY])
    return " ".join(words)


def _paragraphs() -> list[dict[str, Any]]:
    archive = Path(os.environ["TEXTMILL_TEST_DATA"]) / "data/documents.tar.xz"
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as opened:
        opened.extract("documents/qa_xquad/xquad.en.json", folder, filter="data")
        data = json.loads((Path(folder) / "documents/qa_xquad/xquad.en.json").read_text())["data"]
    return [paragraph for article in data for paragraph in article["paragraphs"]]


if __name__ == "__main__":
    for figure, value in measure():
        print(f"  {figure:<90} {value}")
