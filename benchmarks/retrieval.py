"""Retrieval: whether the right passage is found, and what indexing costs.

    python -m benchmarks.retrieval FOLDER            # finding: XQuAD and product manuals
    python -m benchmarks.retrieval FOLDER --models MODELS     # also with MODELS/potion-base-4m
    python -m benchmarks.retrieval --speed           # indexing 100,000 passages, and once more

FOLDER has qa_xquad (xquad.en.json: 240 paragraphs, 1,190 questions) and qa_product_manuals
(sections of nine manuals, four of them of phones that are nearly alike). A question's right passage
is the paragraph it was asked about. Weights of fusion are chosen on the questions of even number
and measured on those of odd number. Needs rank-bm25 for the peer.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from chains.embedding import open_embedder
from chains.retrieval import RETRIEVERS, OwnResources, Passage, words

DEPTH = 20
WEIGHTS = [(4, 1), (3, 1), (2, 1), (3, 2), (1, 1), (2, 3), (1, 2), (1, 3), (1, 4)]
LAMBDAS = [0.5, 0.7, 0.8, 0.9]
ALIKE = {"Galaxy S8", "Galaxy S8+", "Galaxy S9", "Galaxy S9+"}


class Task(NamedTuple):
    """Passages, questions, and the place of each question's passage."""

    passages: list[Passage]
    questions: list[str]
    right: list[int]


def xquad(folder: Path) -> Task:
    data = json.loads((folder / "qa_xquad" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    passages: list[Passage] = []
    questions: list[str] = []
    right: list[int] = []
    for article in data:
        for number, paragraph in enumerate(article["paragraphs"]):
            text = paragraph["context"]
            for asked in paragraph["qas"]:
                questions.append(asked["question"])
                right.append(len(passages))
            passages.append(Passage(text, f"{article['title']}#{number}", 0, len(text)))
    return Task(passages, questions, right)


def ranks(task: Task, settings: Any, resources: OwnResources) -> list[int]:
    """For each question the rank of its passage from 1; 0 where it is not among the first 20."""
    index = RETRIEVERS.build(settings).index(task.passages, resources)
    found = index.search(task.questions, DEPTH)
    pairs = zip(task.right, found, strict=True)
    return [rank_of(right, [hit.place for hit in hits]) for right, hits in pairs]


def rank_of(right: int, places: Sequence[int]) -> int:
    return places.index(right) + 1 if right in places else 0


def figures(found: Sequence[int]) -> str:
    first, five = recall(found, 1), recall(found, 5)
    reciprocal = sum(1 / rank for rank in found if rank) / len(found)
    return f"recall@1 {first:.1%}, recall@5 {five:.1%}, MRR {reciprocal:.3f}"


def recall(found: Sequence[int], k: int) -> float:
    return sum(0 < rank <= k for rank in found) / len(found)


def finding(folder: Path, models: Path | None, chosen: Sequence[str]) -> Iterator[tuple[str, str]]:
    task = xquad(folder)
    yield "questions, passages", f"{len(task.questions)}, {len(task.passages)}"
    words_alone = ranks(task, {"kind": "bm25"}, OwnResources())
    yield "bm25", figures(words_alone)
    yield "BM25Retriever of LangChain, the same words", figures(peer(task))
    embedders = {"MiniLM": "embedded"}
    if models is not None:
        embedders["potion"] = str(models / "potion-base-4m")
    for name in (each for each in embedders if each in chosen):
        embedder = embedders[name]
        resources = OwnResources(open_embedder(embedder))
        yield from with_vectors(task, resources, name, words_alone)
        yield from manuals(folder, resources, name)


def with_vectors(
    task: Task, resources: OwnResources, name: str, words_alone: list[int]
) -> Iterator[tuple[str, str]]:
    alone = ranks(task, {"kind": "dense"}, resources)
    yield f"dense, {name}", figures(alone)
    tried = {
        weights: ranks(task, {"kind": "hybrid", "weights": weights}, resources)
        for weights in WEIGHTS
    }
    yield f"hybrid, {name}", figures(tried[1, 1])
    best = max(WEIGHTS, key=lambda weights: mean_rank(tried[weights][::2]))
    yield f"weights chosen on even questions, {name}", str(best)
    yield "  odd questions, bm25", figures(words_alone[1::2])
    yield "  odd questions, dense", figures(alone[1::2])
    yield "  odd questions, hybrid 1:1", figures(tried[1, 1][1::2])
    yield "  odd questions, hybrid of the chosen weights", figures(tried[best][1::2])
    for value in LAMBDAS:
        settings = {"kind": "mmr", "of": {"kind": "hybrid", "weights": best}, "lambda": value}
        yield f"mmr of the chosen hybrid, lambda {value}", figures(ranks(task, settings, resources))


def mean_rank(found: Sequence[int]) -> float:
    return sum(1 / rank for rank in found if rank)


def peer(task: Task) -> list[int]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_community.retrievers import BM25Retriever

    texts = [passage.text for passage in task.passages]
    places = [{"place": place} for place in range(len(texts))]
    retriever = BM25Retriever.from_texts(texts, places, preprocess_func=words, k=DEPTH)
    found = [[d.metadata["place"] for d in retriever.invoke(query)] for query in task.questions]
    return [rank_of(right, hits) for right, hits in zip(task.right, found, strict=True)]


def manuals(folder: Path, resources: OwnResources, name: str) -> Iterator[tuple[str, str]]:
    """Titles of sections of four phones that are nearly alike, asked with the phone's name.

    What share of the first five is of that phone, from sections as they stand and with the name of
    their manual in front.
    """
    passages: list[Passage] = []
    asked: list[tuple[str, str]] = []
    for file in sorted((folder / "qa_product_manuals").rglob("*.json")):
        manual = file.stem.removesuffix("_manual_corpus").replace("_", " ")
        for section in json.loads(file.read_text(encoding="utf-8")).values():
            text = " ".join(section["text"]).strip()
            if len(words(text)) >= 20:
                passages.append(Passage(text, manual, 0, len(text)))
                if manual in ALIKE:
                    asked.append((f"{section['title']} on the {manual}", manual))
    asked = random.Random(0).sample(asked, 200)
    named = [passage._replace(text=f"{passage.document}. {passage.text}") for passage in passages]
    yield "manuals: sections, questions", f"{len(passages)}, {len(asked)}"
    for kind in ("bm25", "dense", "hybrid"):
        shares = [right_share(kind, corpus, asked, resources) for corpus in (passages, named)]
        figure = f"{shares[0]:.1%}; with the name in front {shares[1]:.1%}"
        yield f"  {kind}, {name}: share of 5 from the right manual", figure


def right_share(
    kind: str, corpus: list[Passage], asked: list[tuple[str, str]], resources: OwnResources
) -> float:
    index = RETRIEVERS.build({"kind": kind}).index(corpus, resources)
    found = index.search([query for query, _ in asked], 5)
    pairs = zip(found, asked, strict=True)
    right = [corpus[hit.place].document == manual for hits, (_, manual) in pairs for hit in hits]
    return sum(right) / len(right)


def speed() -> Iterator[tuple[str, str]]:
    passages = synthetic(100_000)
    with tempfile.TemporaryDirectory() as folder:
        for time_ in ("first", "read again"):
            start = time.perf_counter(), time.process_time()
            index = RETRIEVERS.build({"kind": "bm25"}).index(
                passages, OwnResources(folder=Path(folder))
            )
            yield f"bm25, {len(passages):,} passages, {time_}", took(start)
    queries = [passage.text[:60] for passage in passages[:64]]
    start = time.perf_counter(), time.process_time()
    index.search(queries, 5)
    yield "  64 queries", took(start)
    some = passages[:1_000]
    resources = OwnResources(open_embedder("embedded"))
    start = time.perf_counter(), time.process_time()
    index = RETRIEVERS.build({"kind": "dense"}).index(some, resources)
    yield f"dense, MiniLM, {len(some):,} passages", took(start)
    changed = [*some[:500], some[500]._replace(text="Something else."), *some[501:]]
    start = time.perf_counter(), time.process_time()
    RETRIEVERS.build({"kind": "dense"}).index(changed, resources)
    yield "  with one of them changed", took(start)


def synthetic(count: int) -> list[Passage]:
    """Passages of 120 made-up words, few of them frequent, 50 a document."""
    draw = random.Random(count)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "en", "or")]
    vocabulary = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(30_000)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    texts = [" ".join(draw.choices(vocabulary, cum_weights=weights, k=120)) for _ in range(count)]
    return [Passage(text, f"{n // 50}.md", 0, len(text)) for n, text in enumerate(texts)]


def took(start: tuple[float, float]) -> str:
    wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    return f"{wall:.2f} s, {processor:.2f} s of CPU time"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--embedders", nargs="*", default=["MiniLM", "potion"])
    parser.add_argument("--speed", action="store_true")
    given = parser.parse_args()
    results = speed() if given.speed else finding(given.folder, given.models, given.embedders)
    for name, figure in results:
        print(f"  {name:<62} {figure}", flush=True)


if __name__ == "__main__":
    main()
