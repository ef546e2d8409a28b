"""Corpus BLEU of translations against one reference each.

bleu(["the cat sat"], ["the cat sat"])      # 1.0
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"\w+|[^\w\s]")
ORDER = 4


def bleu(found: Sequence[str], wanted: Sequence[str]) -> float:
    """BLEU of Papineni et al. 2002, orders 1 to 4, not smoothed, 0 to 1.

    Words and marks are tokens and case counts; other tokenisers give values a little different.
    """
    hits, totals = [0] * ORDER, [0] * ORDER
    lengths = [0, 0]
    for text, reference in zip(found, wanted, strict=True):
        mine, theirs = _TOKEN.findall(text), _TOKEN.findall(reference)
        lengths = [lengths[0] + len(mine), lengths[1] + len(theirs)]
        for order in range(1, ORDER + 1):
            grams, known = _ngrams(mine, order), _ngrams(theirs, order)
            hits[order - 1] += sum((grams & known).values())
            totals[order - 1] += sum(grams.values())
    if not all(hits):
        return 0.0
    precision = sum(math.log(hit / total) for hit, total in zip(hits, totals, strict=True)) / ORDER
    return math.exp(precision + min(0.0, 1 - lengths[1] / lengths[0]))


def _ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))
