"""What variants are worth as training data: 200 real reviews with and without them.

Five draws of 200 SST-2 training sentences, each alone and with four variants of every sentence, as
far as the gates let them through, by logistic regression on TF-IDF (`words`) and on embeddings
(`vectors`); tested on SST-2 dev (872). `paraphrase` asks the embedded model once for each variant,
`back_translate` takes what four beams of the trained pair bring back.
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
FOUR = {"field": "text", "variants": 4}
TYPOS = {"kind": "noise", **FOUR, "rate": 0.15}
SAMPLE = {"strategy": "sample", "temperature": 0.7, "top_p": 0.95, "max_tokens": 60, "stop": ["\n"]}
BEAM = {"strategy": "beam", "max_tokens": 64}
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "eda": {"kind": "eda", **FOUR},
    "synonyms": {"kind": "eda", **FOUR, "operations": ["synonym"]},
    "noise": TYPOS,
    "noise, words": {**TYPOS, "operations": ["drop_word", "swap_words"]},
    "back_translate": {
        "kind": "back_translate", **FOUR, "forward": "en_fr", "back": "fr_en",
        "forward_decoding": BEAM, "back_decoding": {**BEAM, "n": 4},
    },
    "paraphrase": {
        "kind": "paraphrase", **FOUR, "model": "writer", "decoding": SAMPLE, "attempts": 1,
    },
}  # fmt: skip


def measure(
    data: Path, made_by: Callable[..., Any], models: dict[str, Any], names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Mean accuracy and its spread over the draws, without and with each augmentation named."""
    from chains.embedding import open_embedder

    embed = _remembering(open_embedder("embedded").encode)
    test, pool = (_sst2(data, part) for part in ("dev", "train"))
    found: dict[tuple[str, str], list[float]] = {}
    sizes: dict[str, list[int]] = {}
    for seed in range(SEEDS):
        plain = pool.at(stratified(pool.labels, pool.texts, ROWS, seed))
        sets = {"real alone": plain}
        for title in names:
            made = made_by(_rows(plain), [AUGMENTATIONS[title]], models, seed)
            sets[title] = _texts(made.rows)
        for title, train in sets.items():
            sizes.setdefault(title, []).append(len(train.texts))
            for features in FEATURES:
                right = correctness(train, test, features, embed).mean()
                found.setdefault((features, title), []).append(float(right))
    for (seen, title), scores in sorted(found.items()):
        base = found[seen, "real alone"]
        gains = [score - plain for score, plain in zip(scores, base, strict=True)]
        spread = f"{statistics.mean(scores):.3f} +- {statistics.stdev(scores):.3f}"
        paired = f"gain {statistics.mean(gains):+.3f} +- {statistics.stdev(gains):.3f}"
        rows = f"{statistics.mean(sizes[title]):.0f} rows: {spread}"
        yield f"{seen}, {title}", rows if title == "real alone" else f"{rows}, {paired}"


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
