"""A synthetic set beside a real one: how alike they are, and whether it copies.

    compare(made, real, embed)
    {"coverage": 0.81, "density": 0.94, "detectable": 0.73, "closer_than_real": 0.12, ...}

Both are cut to the same size by hash, so that no measure sees only that one is larger.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pipelines.evaluation.intrinsic import SAMPLE, Embed, rounded
from pipelines.evaluation.loading import Texts
from pipelines.evaluation.sampling import places
from pipelines.evaluation.surface import tokens
from pipelines.evaluation.vectors import (
    Vectors,
    density_and_coverage,
    frontier_divergence,
    nearest,
)
from pipelines.rows import JSON
from prompts.errors import UsageError

NEIGHBOURS = 5
FOLDS = 5
FEWEST = 20  # texts of either set below which nothing is compared
_BINS = (0, 2, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 96, 128, 256, 512)  # words, growing steps


def compare(made: Texts, real: Texts, embed: Embed, seed: int = 0) -> dict[str, JSON]:
    """All measures of two sets.

    Raises:
        UsageError: One of them is too small.
    """
    size = min(len(made), len(real), SAMPLE)
    if size < FEWEST:
        smaller = made if len(made) < len(real) else real
        fix = f"give at least {FEWEST} rows of each"
        raise UsageError(f"'{smaller.source}' has {len(smaller)} texts", fix=fix, key="--real")
    first = [made.texts[place] for place in places(made.texts, size, seed)]
    second = [real.texts[place] for place in places(real.texts, size, seed)]
    return rounded(
        {
            "size": size,
            "length_divergence": divergence(_lengths(first), _lengths(second)),
            "vocabulary_divergence": divergence(_words(first), _words(second)),
            "copied": copied(made.texts, real.texts),
            "detectable": detectable(first, second, seed),
            **_in_space(embed(first), embed(second), seed),
        }
    )


def divergence(first: Counter[Any], second: Counter[Any]) -> float:
    """Jensen-Shannon divergence of two histograms in bits: 0 the same, 1 nothing in common."""
    from math import log2

    total, other = first.total(), second.total()
    found = 0.0
    for key in first.keys() | second.keys():
        p, q = first[key] / total, second[key] / other
        mixed = (p + q) / 2
        found += sum(share * log2(share / mixed) / 2 for share in (p, q) if share)
    return found


def copied(made: Sequence[str], real: Iterable[str]) -> float:
    """Share of made texts that stand word for word among the real ones."""
    known = {tuple(tokens(text)) for text in real}
    return sum(tuple(tokens(text)) in known for text in made) / len(made)


def detectable(made: Sequence[str], real: Sequence[str], seed: int = 0) -> float:
    """Area under the ROC curve of a classifier that tells the two apart, cross-validated.

    TF-IDF of words and pairs, logistic regression; 0.5 is chance, 1 told apart without fail.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+"),
        LogisticRegression(max_iter=1000, C=10.0),
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    marks = [1] * len(made) + [0] * len(real)
    scores = cross_val_score(model, [*made, *real], marks, cv=folds, scoring="roc_auc")
    return float(scores.mean())


def _in_space(made: Vectors, real: Vectors, seed: int) -> dict[str, JSON]:
    density, coverage = density_and_coverage(real, made, NEIGHBOURS)
    to_real, usual = nearest(made, real), nearest(real, real, itself=True)
    clusters = max(2, min(100, len(made) // 10))
    return {
        "density": density,
        "coverage": coverage,
        "frontier": frontier_divergence(real, made, clusters, seed),
        "nearest_real": float(np.median(to_real)),
        "nearest_real_of_real": float(np.median(usual)),
        "closer_than_real": float((to_real < np.quantile(usual, 0.05)).mean()),
    }


def _lengths(texts: Sequence[str]) -> Counter[int]:
    from bisect import bisect_right

    return Counter(bisect_right(_BINS, len(tokens(text))) for text in texts)


def _words(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in tokens(text))
