"""What variants are worth as training data: 200 real reviews with and without them.

Five draws of 200 SST-2 training sentences, each alone and with four variants of every sentence, by
logistic regression on TF-IDF (`words`) and on embeddings (`vectors`); tested on SST-2 dev (872).
`benchmarks.augmentation` runs it.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.evaluation.downstream import FEATURES, correctness
from pipelines.evaluation.loading import Texts
from pipelines.evaluation.sampling import stratified

SEEDS = 5
ROWS = 200
TYPOS = {"kind": "noise", "field": "text", "variants": 4, "rate": 0.15}
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "eda": {"kind": "eda", "field": "text", "variants": 4},
    "noise": TYPOS,
    "noise, words": {**TYPOS, "operations": ["drop_word", "swap_words"]},
}


def measure(data: Path, made_by: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Mean accuracy and its spread over the draws, without and with each augmentation."""
    from chains.embedding import open_embedder

    embed = _remembering(open_embedder("embedded").encode)
    test, pool = (_sst2(data, part) for part in ("dev", "train"))
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(SEEDS):
        plain = pool.at(stratified(pool.labels, pool.texts, ROWS, seed))
        sets = {"real alone": plain}
        for title, stage in AUGMENTATIONS.items():
            sets[title] = _texts(made_by(_rows(plain), [stage], seed=seed).rows)
        for title, train in sets.items():
            for features in FEATURES:
                right = correctness(train, test, features, embed).mean()
                found.setdefault((features, title), []).append(float(right))
    for (features, title), scores in sorted(found.items()):
        base = found[features, "real alone"]
        gains = [score - plain for score, plain in zip(scores, base, strict=True)]
        spread = f"{statistics.mean(scores):.3f} +- {statistics.stdev(scores):.3f}"
        paired = f"gain {statistics.mean(gains):+.3f} +- {statistics.stdev(gains):.3f}"
        yield f"{features}, {title}", spread if title == "real alone" else f"{spread}, {paired}"


def _remembering(encode: Callable[..., Any]) -> Callable[[Sequence[str]], Any]:
    """The embedder, but what it was asked once it is not asked again."""
    import numpy as np

    known: dict[str, Any] = {}

    def embed(texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, encode(new), strict=True) if new else ())
        return np.stack([known[text] for text in texts])

    return embed


def _sst2(data: Path, part: str) -> Texts:
    path = data / f"classification/cls_sst2/stsa.binary.{part}"
    pairs = [line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return Texts("sst2", "text", tuple(p[1] for p in pairs), tuple(p[0] for p in pairs))


def _rows(texts: Texts) -> list[dict[str, str]]:
    pairs = zip(texts.texts, texts.labels, strict=True)
    return [{"text": text, "label": label} for text, label in pairs]


def _texts(rows: Sequence[dict[str, Any]]) -> Texts:
    data = [row["data"] for row in rows]
    return Texts("made", "text", tuple(d["text"] for d in data), tuple(d["label"] for d in data))
