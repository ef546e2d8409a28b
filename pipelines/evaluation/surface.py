"""Diversity of the wording, from the words alone.

distinct([["a", "b", "a"]], 1)            # 2 / 3
compression_ratio(["so so so so"] * 9)    # far above 1: it repeats itself
self_repetition([["a b c d".split()] * 2) # log 2: each text's one 4-gram stands in another text

Words are lower-cased runs of letters, digits and apostrophes. All is a function of the texts in
their order; none is of any model.
"""

import gzip
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

Tokens = Sequence[str]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001
_ORDER = 4  # the longest n-grams of BLEU


def tokens(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def ngrams(words: Tokens, order: int) -> Iterator[tuple[str, ...]]:
    """All runs of `order` words."""
    return (tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def distinct(texts: Sequence[Tokens], order: int, words: int | None = None) -> float | None:
    """Different n-grams over all n-grams (Li et al. 2016), 0 to 1.

    The measure falls with the amount of text, so that only equal amounts can be compared.

    Args:
        texts: Words of each text.
        order: n.
        words: Stop behind this many words in all; left out, all are counted.

    Returns:
        None where there is no n-gram.
    """
    found: Counter[tuple[str, ...]] = Counter()
    left = words
    for text in texts:
        part = text if left is None else text[:left]
        found.update(ngrams(part, order))
        if left is not None:
            left -= len(part)
            if not left:
                break
    return len(found) / found.total() if found else None


def compression_ratio(texts: Sequence[str]) -> float | None:
    """Bytes over bytes compressed by gzip at its best level; higher is more repetitive.

    Shaib et al. 2024. None without any text.
    """
    raw = "\n".join(texts).encode("utf-8", "surrogatepass")
    return len(raw) / len(gzip.compress(raw, 9, mtime=0)) if raw else None


def self_repetition(texts: Sequence[Tokens]) -> float | None:
    """Mean over texts of log(1 + hits of its 4-grams in other texts) (Salkar et al. 2022).

    A hit is a different 4-gram of the text and another text that has it too. None without texts.
    """
    if not texts:
        return None
    own = [set(ngrams(text, _ORDER)) for text in texts]
    holders = Counter(gram for grams in own for gram in grams)
    return sum(math.log1p(sum(holders[gram] - 1 for gram in grams)) for grams in own) / len(own)


def self_bleu(texts: Sequence[Tokens]) -> float | None:
    """Mean BLEU-4 of each text against all others (Zhu et al. 2018), 0 to 1; lower is more diverse.

    The clipped precisions of orders 1 to 4 are smoothed by adding one to numerator and denominator
    above order 1 (Lin and Och 2004); the brevity penalty takes the nearest length, the shorter of
    two. Counts are kept by n-gram with the two highest of all texts, so that it takes time in
    proportion to the words. None for fewer than two texts.
    """
    if len(texts) < 2:
        return None
    highest = [_highest(texts, order) for order in range(1, _ORDER + 1)]
    lengths = Counter(len(text) for text in texts)
    scores = [_bleu(place, text, highest, lengths) for place, text in enumerate(texts)]
    return math.fsum(scores) / len(scores)


_Highest = dict[tuple[str, ...], tuple[int, int, int]]


def _highest(texts: Sequence[Tokens], order: int) -> _Highest:
    """For each n-gram its highest count in a text, which text that is, and the next count."""
    found: _Highest = {}
    for place, text in enumerate(texts):
        for gram, count in Counter(ngrams(text, order)).items():
            first, owner, second = found.get(gram, (0, -1, 0))
            if count > first:
                found[gram] = (count, place, first)
            elif count > second:
                found[gram] = (first, owner, count)
    return found


def _bleu(place: int, text: Tokens, highest: Sequence[_Highest], lengths: Counter[int]) -> float:
    logs = 0.0
    for order, known in enumerate(highest, start=1):
        counts = Counter(ngrams(text, order))
        matched = 0
        for gram, count in counts.items():
            first, owner, second = known[gram]
            matched += min(count, second if owner == place else first)
        smooth = int(order > 1)
        total = counts.total() + smooth
        if not matched + smooth or not total:
            return 0.0
        logs += math.log((matched + smooth) / total) / _ORDER
    others = lengths - Counter([len(text)])
    nearest = min(others, key=lambda length: (abs(length - len(text)), length))
    return math.exp(logs + min(0.0, 1 - nearest / len(text)))
