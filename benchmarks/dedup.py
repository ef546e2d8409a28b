"""Duplicates: what `dedup` finds, and what it costs.

    python -m benchmarks.dedup              # MinHash beside datasketch and rensa, 100,000 texts
    python -m benchmarks.dedup --million    # one million texts: time and peak memory
    python -m benchmarks.dedup --crowds     # thousands of texts in one bucket
    python -m benchmarks.dedup --meaning FOLDER   # thresholds of semantic, on labelled pairs

FOLDER has para_mrpc, para_stsb_multi and para_quora with the files of these sets.

Texts are sentences of 8 to 24 made-up words behind one of 50 openings; every fifth is a copy of an
earlier one with one or two words changed. The true similarity of each copy to its original is
known: that of character 5-grams after normalisation. All times are CPU seconds of one thread.
"""

import csv
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipelines.normalising import normalised
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import Dedup
from pipelines.stages.dedup.seen import TOGETHER
from pipelines.stages.dedup.shingling import jaccard, shingles

TEXTS, PEER_TEXTS, ROUNDS = 100_000, 10_000, 3
THRESHOLD, NUM_PERM, BANDS, NGRAM = 0.6, 128, 32, 5
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "en", "or", "ai")]

Key = TypeVar("Key", int, str)
T = TypeVar("T")

Corpus = tuple[list[str], dict[int, int]]
"""Texts, and for each copy the number of its original."""


def measure() -> Iterator[tuple[str, str]]:
    """Accuracy over the known copies, then speed beside the peers, interleaved."""
    yield from accuracy(corpus(TEXTS))
    texts, _ = corpus(PEER_TEXTS)
    ways: dict[str, Callable[[Sequence[str]], int]] = {
        "textmill": with_textmill,
        "datasketch": with_datasketch,
        "datasketch, candidates alone": lambda texts: with_datasketch(texts, verify=False),
        "rensa": with_rensa,
        "rensa, candidates alone": lambda texts: with_rensa(texts, verify=False),
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way(texts)
            speeds[name].append(len(texts) / (time.process_time() - start))
    for name, found in speeds.items():
        ratios = sorted(a / b for a, b in zip(speeds["textmill"], found, strict=True))
        spread = f"{ratios[0]:.1f} to {ratios[-1]:.1f} times" if name != "textmill" else "1"
        middle = sorted(found)[ROUNDS // 2]
        yield f"{name}, {PEER_TEXTS:,} texts", f"{middle:,.0f} texts/CPU-s; textmill {spread}"


def corpus(count: int) -> Corpus:
    """Texts and which of them are copies; the same for the same count."""
    draw = random.Random(count)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(3_000)]
    openings = [" ".join(draw.choices(words, k=4)) for _ in range(50)]
    texts: list[str] = []
    copies: dict[int, int] = {}
    for number in range(count):
        if number % 5 == 4:
            copies[number] = number - draw.randint(1, 4) - 5 * draw.randint(0, number // 5)
            split = texts[copies[number]].split()
            for _ in range(draw.randint(1, 2)):
                split[draw.randrange(len(split))] = draw.choice(words)
        else:
            split = [draw.choice(openings), *draw.choices(words, k=draw.randint(8, 24))]
        texts.append(" ".join(split))
    return texts, copies


def accuracy(made: Corpus) -> Iterator[tuple[str, str]]:
    """Precision and recall over the copies, and the speed of the stage."""
    texts, copies = made
    start = time.process_time()
    outcomes = deduplicated(texts)
    seconds = time.process_time() - start
    twins = {n: int(o.detail["twin"]) for n, o in enumerate(outcomes) if isinstance(o, Rejection)}
    true = sum(similarity(texts[n], texts[twin]) >= THRESHOLD for n, twin in twins.items())
    alike = [n for n, m in copies.items() if similarity(texts[n], texts[m]) >= THRESHOLD]
    found = sum(n in twins for n in alike)
    what = f"of {len(texts):,} texts, true Jaccard >= {THRESHOLD}"
    yield f"precision {what}", f"{true / len(twins):.5f} ({len(twins):,} rejected)"
    yield f"recall {what}", f"{found / len(alike):.5f} ({len(alike):,} copies)"
    yield "speed of the whole stage", f"{len(texts) / seconds:,.0f} texts/CPU-s"


def similarity(first: str, second: str) -> float:
    """The true Jaccard similarity."""
    return jaccard(*(shingles(normalised(text), NGRAM, "chars") for text in (first, second)))


def deduplicated(texts: Sequence[str]) -> list[Outcome]:
    """What the stage makes of the texts, in one block."""
    stage = Dedup(field="text", threshold=THRESHOLD, num_perm=NUM_PERM, bands=BANDS, ngram=NGRAM)
    rows = (Row(str(n), (n,), str(n), {"text": text}) for n, text in enumerate(texts))
    return list(stage.run(rows, _Context(stage)))  # type: ignore[arg-type]


class _Context:
    """As much of a stage's context as MinHash needs."""

    def __init__(self, stage: Dedup) -> None:
        self.state = stage.open_state()

    def shared(self, key: str, make: Callable[[], T]) -> T:
        return make()


def with_textmill(texts: Sequence[str]) -> int:
    """Texts rejected by the stage."""
    return sum(isinstance(outcome, Rejection) for outcome in deduplicated(texts))


def with_datasketch(texts: Sequence[str], *, verify: bool = True) -> int:
    """Texts with a candidate in datasketch's index, verified in Python unless told not to."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=NUM_PERM, params=(BANDS, NUM_PERM // BANDS))
    kept: dict[str, set[str]] = {}
    for number, text in enumerate(texts):
        own = shingles(normalised(text), NGRAM, "chars")
        hashed = MinHash(num_perm=NUM_PERM)
        hashed.update_batch([shingle.encode() for shingle in own])
        if not _alike(own, index.query(hashed), kept, verify=verify):
            index.insert(str(number), hashed)
            kept[str(number)] = own
    return len(texts) - len(kept)


def with_rensa(texts: Sequence[str], *, verify: bool = True) -> int:
    """The same with rensa's R-MinHash, whose signatures are made for many texts in one call."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM, num_bands=BANDS)
    kept: dict[int, set[str]] = {}
    for number, (own, hashed) in enumerate(_hashed_by_rensa(texts, RMinHash)):
        if not _alike(own, index.query(hashed), kept, verify=verify):
            index.insert(number, hashed)
            kept[number] = own
    return len(texts) - len(kept)


def _hashed_by_rensa(texts: Sequence[str], kind: Any) -> Iterator[tuple[set[str], Any]]:
    """Shingles and signature of each text."""
    for start in range(0, len(texts), TOGETHER):
        some = texts[start : start + TOGETHER]
        sets = [shingles(normalised(text), NGRAM, "chars") for text in some]
        yield from zip(sets, kind.from_token_sets(map(list, sets), NUM_PERM, 42), strict=True)


def _alike(own: set[str], found: Sequence[Key], kept: dict[Key, set[str]], *, verify: bool) -> bool:
    return bool(found) and (
        not verify or any(jaccard(own, kept[key]) >= THRESHOLD for key in found)
    )


def million() -> Iterator[tuple[str, str]]:
    """CPU time and peak memory of one million texts; the texts themselves are in it."""
    texts, _ = corpus(1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stage = Dedup(field="text", threshold=THRESHOLD, num_perm=NUM_PERM, bands=BANDS, ngram=NGRAM)
    rows = (Row(f"{n:016x}", (n,), f"{n:016x}", {"text": text}) for n, text in enumerate(texts))
    start = time.process_time()
    rejected = sum(isinstance(o, Rejection) for o in stage.run(rows, _Context(stage)))  # type: ignore[arg-type]
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield "one million texts", f"{len(texts) / seconds:,.0f} texts/CPU-s, {rejected:,} rejected"
    yield "peak resident memory", f"{peak / 1024:,.0f} MiB, {before / 1024:,.0f} before the stage"


def crowds() -> Iterator[tuple[str, str]]:
    """CPU time a text where all texts share most of their words, which should stay about the same.

    A beginning with random letters behind it, of which hardly any are alike; a frame of forty words
    with seven others, of which all are; with six to nineteen others, of which most are.
    """
    draw = random.Random(5)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(400)]
    frame = " ".join(draw.choices(words, k=40))

    def end(least: int, most: int) -> str:
        return f"{frame} {' '.join(draw.choices(words, k=draw.randint(least, most)))}"

    kinds: dict[str, Callable[[], str]] = {
        "a common beginning": lambda: frame[:75] + "".join(draw.choices("abcdefghij", k=30)),
        "a frame and 7 words": lambda: end(7, 7),
        "a frame and 6 to 19 words": lambda: end(6, 19),
    }
    for name, make in kinds.items():
        texts = [make() for _ in range(10_000)]
        for count in (2_500, 5_000, 10_000):
            start = time.process_time()
            rejected = with_textmill(texts[:count])
            each = (time.process_time() - start) / count
            yield (
                f"{count:,} texts of {name}",
                f"{each * 1e6:,.0f} us a text, {rejected:,} rejected",
            )


def meaning(folder: Path) -> Iterator[tuple[str, str]]:
    """Precision and recall of the cosine at thresholds, with the embedded embedder."""
    from chains.embedding import open_embedder

    sets = labelled_pairs(folder)
    texts = sorted({text for pairs in sets.values() for _, *both in pairs for text in both})
    vectors = dict(zip(texts, open_embedder("embedded", offline=True).encode(texts), strict=True))
    for threshold in (0.75, 0.8, 0.85, 0.9, 0.95):
        for name, least in (("mrpc", 1.0), ("stsb", 4.0), ("stsb", 3.0), ("quora", 1.0)):
            found = [(float(vectors[a] @ vectors[b]), s >= least) for s, a, b in sets[name]]
            hits = [alike for cosine, alike in found if cosine >= threshold]
            recall = sum(hits) / sum(alike for _, alike in found)
            figure = f"precision {sum(hits) / max(1, len(hits)):.2f}, recall {recall:.2f}"
            yield f"cosine >= {threshold}, {name} labelled {least:g} or more", figure


def labelled_pairs(folder: Path) -> dict[str, list[tuple[float, str, str]]]:
    """Label and texts of some pairs of each set; Quora has duplicates alone."""
    mrpc = (folder / "para_mrpc/msr_paraphrase_train.txt").read_text(encoding="utf-8-sig")
    split = [line.split("\t") for line in mrpc.splitlines()[1:]]
    stsb: list[list[str]] = []
    for part, step in (("dev", 1), ("train", 4)):
        with (folder / f"para_stsb_multi/stsb-en-{part}.csv").open(encoding="utf-8") as file:
            stsb += list(csv.reader(file))[::step]
    quora = [
        (folder / f"para_quora/train_{side}_first20000.txt").read_text(encoding="utf-8").split("\n")
        for side in (1, 2)
    ]
    return {
        "mrpc": [(float(p[0]), p[3], p[4]) for p in split if len(p) == 5][::2],
        "stsb": [(float(score), first, second) for first, second, score in stsb],
        "quora": [(1.0, a, b) for a, b in zip(*quora, strict=True)][:20_000:8],
    }


if __name__ == "__main__":
    parts = measure()
    if "--million" in sys.argv:
        parts = million()
    elif "--crowds" in sys.argv:
        parts = crowds()
    elif "--meaning" in sys.argv:
        parts = meaning(Path(sys.argv[-1]))
    for name, figure in parts:
        print(f"  {name:<58} {figure}", flush=True)
