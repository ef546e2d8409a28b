"""What can be said of a dataset without any other: diversity, repetition, lengths, labels.

    measure_itself(texts, embed)
    {"rows": 500, "words": {"mean": 14.2, ...}, "distinct": {"1": 0.21, ...}, "vendi": 61.3, ...}

Measures that compare every text with every other take a sample drawn by hash, and say its size.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.evaluation.loading import Texts
from pipelines.evaluation.sampling import places
from pipelines.evaluation.surface import (
    compression_ratio,
    distinct,
    self_bleu,
    self_repetition,
    tokens,
)
from pipelines.evaluation.vectors import Vectors, dispersion, vendi
from pipelines.rows import JSON

Embed = Callable[[Sequence[str]], Vectors]

WORDS = 5_000  # words that distinct-n is counted on, so that sets of other sizes compare
SAMPLE = 1_000  # texts for self-BLEU and embeddings
DIGITS = 4


def measure_itself(data: Texts, embed: Embed | None) -> dict[str, JSON]:
    """All measures of one set.

    Args:
        data: The texts.
        embed: Gives unit vectors; None leaves out what needs them.
    """
    chosen = [data.texts[place] for place in places(data.texts, SAMPLE)]
    split = [tokens(text) for text in data.texts]
    found: dict[str, JSON] = {
        "rows": len(data),
        "blank": data.blank,
        "words": spread([len(words) for words in split]),
        "labels": label_shares(data.labels),
        "sample": len(chosen),
        "distinct": distinct_rates(data.texts),
        "compression_ratio": compression_ratio(chosen),
        "self_repetition": self_repetition(split),
        "self_bleu": self_bleu([tokens(text) for text in chosen]),
        **duplicates(data.texts),
    }
    if embed is not None:
        vectors = embed(chosen)
        found |= {"vendi": vendi(vectors), "dispersion": dispersion(vectors)}
    return rounded(found)


def distinct_rates(texts: Sequence[str]) -> dict[str, JSON]:
    """Distinct-1, -2 and -3 on the first words of the texts in an order drawn by hash."""
    order = [tokens(texts[place]) for place in places(texts, len(texts))]
    counted = min(WORDS, sum(map(len, order)))
    return {"words": counted, **{str(n): distinct(order, n, WORDS) for n in (1, 2, 3)}}


def spread(values: Sequence[int]) -> dict[str, JSON]:
    """Mean, standard deviation, and the values at 0, 5, 50, 95 and 100 % of the sorted ones."""
    ordered = sorted(values)
    mean = sum(ordered) / len(ordered)
    variance = sum((value - mean) ** 2 for value in ordered) / len(ordered)
    last = len(ordered) - 1
    marks = {"min": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}
    found: dict[str, JSON] = {"mean": mean, "deviation": math.sqrt(variance)}
    return found | {name: ordered[round(share * last)] for name, share in marks.items()}


def label_shares(labels: Sequence[str]) -> dict[str, JSON]:
    """Label -> rows, the most frequent first; empty where there are no labels."""
    counts = Counter(labels)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def duplicates(texts: Sequence[str]) -> dict[str, JSON]:
    """Shares that would go if one text of all equal ones, or of all nearly alike, were kept.

    Case, punctuation and spaces do not count. A pair at similarity 0.8 is found with a chance
    above 0.999; none is counted without its true similarity.
    """
    from pipelines.exporters.near import repeated
    from pipelines.normalising import normalised

    different = len({normalised(text) for text in texts})
    return {"exact_duplicates": 1 - different / len(texts), "near_duplicates": repeated(texts)}


def rounded(figures: dict[str, JSON]) -> dict[str, JSON]:
    """The same figures with every float rounded to four digits behind the point."""
    return {key: _rounded(value) for key, value in figures.items()}


def _rounded(value: JSON) -> JSON:
    if isinstance(value, float):
        return round(value, DIGITS)
    return rounded(value) if isinstance(value, dict) else value
