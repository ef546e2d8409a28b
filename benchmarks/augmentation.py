"""What the gates let through, and what the stages of augmentation make of real sentences.

By hand, with the folder of the data sets, a folder for runs and ledgers, and the parts wanted:
`python -m benchmarks.augmentation DATA RUNS gates back_translate paraphrase noise downstream`.
`back_translate` and `downstream` want translators in DATA/models (marian-multi30k-en-fr and
-fr-en). `by_chat` is back-translation by the embedded language model. Each job has a folder in RUNS
with its rows: one that was stopped goes on, a finished one is only read. docs/augmentation.md keeps
the figures.
"""

import csv
import gzip
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bleu import bleu
from pipelines.job import load_job
from pipelines.launch import Options, launch

Row = dict[str, Any]
Figures = Iterator[tuple[str, str]]

SAMPLE = {"strategy": "sample", "temperature": 0.7, "top_p": 0.95, "max_tokens": 60, "stop": ["\n"]}
TRANSLATED = {"strategy": "sample", "temperature": 0.9, "top_p": 0.95, "max_tokens": 48}
BEAM = {"strategy": "beam", "max_tokens": 48}
ROUND_TRIP = {"strategy": "noisy_channel", "channel_model": "en_fr", "channel_system": "",
              "lm_weight": 0, "max_tokens": 48, "n": 4, "candidates": 8,
              "base": {"strategy": "beam", "num_beams": 8}}  # fmt: skip
PAIR: Row = {"kind": "back_translate", "field": "text", "forward": "en_fr", "back": "fr_en"}


class Made(NamedTuple):
    """What a job made.

    Attributes:
        rows: Accepted rows; originals are those without an operation in their history.
        rejected: Rejections.
    """

    rows: list[Row]
    rejected: list[Row]

    def variants(self) -> list[Row]:
        """The rows that an augmentation made."""
        return [row for row in self.rows if _made(row)]


def _made(row: Row) -> bool:
    return any("operation" in event for event in row["history"])


class Places(NamedTuple):
    """Where data lie and runs go."""

    data: Path
    runs: Path


def made_by(
    places: Places, rows: Sequence[Row], stages: list[Row], models: Row | None = None, seed: int = 7
) -> Made:
    """Run a job of these stages over these rows; the ledger of all jobs is one file."""
    job = {
        "name": "augmented",
        "seed": seed,
        "models": models or {"writer": {"model": "embedded"}},
        "sources": [{"kind": "records", "path": "rows.jsonl"}],
        "stages": stages,
    }
    digest = hashlib.sha256(json.dumps([job, list(rows)]).encode()).hexdigest()[:8]
    folder = places.runs / f"{stages[0]['kind']}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    (folder / "job.yaml").write_text(json.dumps(job, indent=1), encoding="utf-8")
    loaded = load_job(folder / "job.yaml")
    loaded.check()
    launch(loaded, folder / "run", Options(ledger=places.runs / "ledger.sqlite", keep_going=True))
    return Made(_read(folder / "run/rows.jsonl"), _read(folder / "run/rejected.jsonl"))


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def outcome(title: str, made: Made, sources: int) -> Figures:
    """How much passed, and how near and how different it is."""
    variants = made.variants()
    events = [row["history"][-1] for row in variants]
    reasons = Counter(row["reason"] for row in made.rejected)
    yield f"{title}: accepted", f"{len(variants)} of {len(variants) + len(made.rejected)}"
    yield f"{title}: distinct", f"{len({row['data']['text'] for row in variants})}"
    yield f"{title}: families with one", f"{len({row['family'] for row in variants})} of {sources}"
    for score in ("similarity", "difference", "parascore"):
        found = [event[score] for event in events if score in event]
        if found:
            yield f"{title}: mean {score}", f"{sum(found) / len(found):.3f}"
    yield f"{title}: refused for", ", ".join(f"{k} {n}" for k, n in reasons.most_common(6))


def gates(places: Places) -> Figures:
    """Right pairs that the default gates refuse, and wrong ones that they pass."""
    from chains.embedding import open_embedder
    from pipelines.stages.augment.back_translate import BackTranslationGates
    from pipelines.stages.augment.gates import Gates

    embedder = open_embedder("embedded")
    settings = {
        "defaults": Gates(),
        "with entities": Gates(entities=True),
        "entities alone": Gates(similarity=None, difference=0, form=False, numbers=False,
                                length_ratio=99, doubled=False, entities=True),
        "similarity .75": Gates(similarity=0.75),
        "back-translation": BackTranslationGates(),
    }  # fmt: skip
    for name, pairs in (("MRPC", mrpc(places.data)), ("STS-B dev", stsb(places.data))):
        for right in (True, False):
            mine = [(a, b) for a, b, found in pairs if found is right]
            first, second = (embedder.encode([pair[at] for pair in mine]) for at in (0, 1))
            cosines = (first * second).sum(1)
            for title, gate in settings.items():
                passed = sum(
                    gate.fault(a, b, float(cosine)) is None
                    for (a, b), cosine in zip(mine, cosines, strict=True)
                )
                sort = "right" if right else "wrong"
                share = f"{passed} of {len(mine)}, {passed / len(mine):.1%}"
                yield f"{name}, {sort} pairs passed, {title}", share


def mrpc(data: Path) -> list[tuple[str, str, bool]]:
    """Pairs of the training set, and whether people found them equivalent."""
    path = data / "similarity/para_mrpc/msr_paraphrase_train.txt"
    lines = path.read_text(encoding="utf-8-sig").splitlines()[1:]
    cells = (line.split("\t") for line in lines)
    return [(cell[3], cell[4], cell[0] == "1") for cell in cells]


def stsb(data: Path) -> list[tuple[str, str, bool]]:
    """Pairs of the development set: equivalent (4 and more), or not (3 and less)."""
    with (data / "similarity/para_stsb_multi/stsb-en-dev.csv").open(encoding="utf-8") as file:
        scored = [(row[0], row[1], float(row[2])) for row in csv.reader(file)]
    return [(a, b, score >= 4) for a, b, score in scored if score >= 4 or score <= 3]


def captions(data: Path, language: str) -> list[str]:
    """Multi30k's validation captions."""
    with gzip.open(data / f"translation/mt_multi30k/val.{language}.gz", "rt") as file:
        return [line.strip() for line in file]


def translators(places: Places) -> Row:
    """The trained pair: English to French and back."""
    folder = places.data / "models"
    names = {"en_fr": "marian-multi30k-en-fr", "fr_en": "marian-multi30k-fr-en"}
    return {name: {"model": str(folder / found)} for name, found in names.items()}


def back_translate(places: Places, count: int = 500) -> Figures:
    """BLEU of each direction, and what comes back through the gates."""
    english, french = (captions(places.data, name)[:count] for name in ("en", "fr"))
    models = translators(places)
    for name, given, wanted in (("en_fr", english, french), ("fr_en", french, english)):
        found = translated(models[name]["model"], given)
        yield f"{name}: BLEU of beam search", f"{100 * bleu(found, wanted):.1f}"
    sampled: Row = {"forward_decoding": TRANSLATED, "back_decoding": BEAM}
    beam: Row = {"forward_decoding": BEAM, "back_decoding": BEAM}
    ways: dict[str, Row] = {
        "beam": beam,
        "noised beam": {**beam, "pivot_noise": 0.1},
        "sampled": sampled,
        "sampled, best of 4 back": {**sampled, "back_decoding": {**BEAM, "n": 4}},
        "beam, best of 4 back": {**beam, "back_decoding": {**BEAM, "n": 4}},
        "beam, reranked by the round trip": {**beam, "back_decoding": ROUND_TRIP},
    }
    rows = [{"text": text} for text in english]
    for title, settings in ways.items():
        made = made_by(places, rows, [{**PAIR, **settings}], models)
        yield from outcome(f"back_translate, {title}", made, len(rows))


def by_chat(places: Places, count: int = 50) -> Figures:
    """The same captions with the embedded language model as the translator."""
    rows = [{"text": text} for text in captions(places.data, "en")[:count]]
    way = {"kind": "back_translate", "field": "text", "model": "writer", "attempts": 1,
           "forward_decoding": SAMPLE, "back_decoding": SAMPLE}  # fmt: skip
    yield from outcome("back_translate, embedded model", made_by(places, rows, [way]), len(rows))


def translated(folder: str, texts: Sequence[str]) -> list[str]:
    """What a translator makes of texts by beam search, in their order."""
    from chains.calls import Call, Message
    from chains.decoding import Beam
    from chains.models import open_model
    from chains.models.spec import ModelSpec

    model = open_model(ModelSpec(model=folder), offline=True)
    calls = [Call((Message("user", text),), Beam(max_tokens=48)) for text in texts]
    found = dict(pair for finished in model.answer(calls) for pair in finished)
    return [found[at][0].text for at in range(len(calls))]


def paraphrase(places: Places, count: int = 300) -> Figures:
    """Paraphrases of MRPC's first sentences of 8 to 24 words by the embedded model."""
    texts = dict.fromkeys(a for a, _, _ in mrpc(places.data) if 8 <= len(a.split()) <= 24)
    rows = [{"text": text} for text in list(texts)[:count]]
    stage: Row = {"kind": "paraphrase", "model": "writer", "field": "text", "decoding": SAMPLE,
             "variants": 5, "attempts": 1, "gates": {"entities": True}}  # fmt: skip
    made = made_by(places, rows, [stage])
    yield from outcome("paraphrase", made, len(rows))
    yield "paraphrase: variants that change a number", f"{sum(map(_changes_number, pairs(made)))}"


def pairs(made: Made) -> list[tuple[str, str]]:
    """Originals and their variants."""
    own = {row["family"]: row["data"]["text"] for row in made.rows if not _made(row)}
    return [(own[row["family"]], row["data"]["text"]) for row in made.variants()]


def _changes_number(pair: tuple[str, str]) -> bool:
    from pipelines.numbers import numbers

    return numbers(pair[0]) != numbers(pair[1])


def noise(places: Places, count: int = 100) -> Figures:
    """How near noised and restored sentences are to their source, and what PII is left in them."""
    from chains.embedding import open_embedder
    from pipelines.stages.safety.entities import DEFAULT, find

    records = json.loads(
        (places.data / "safety/pii_presidio/generated_small.json").read_text(encoding="utf-8")
    )
    rows = [{"text": record["full_text"]} for record in records][:count]
    source: dict[str, Row] = {"noise .1": {"kind": "noise", "field": "text"},
              "noise .3": {"kind": "noise", "field": "text", "rate": 0.3},
              "noise .3, words": {"kind": "noise", "field": "text", "rate": 0.3,
                                  "operations": ["mask", "drop_word"]},
              "reconstruct": {"kind": "reconstruct", "model": "writer", "field": "text",
                              "decoding": SAMPLE, "gates": {"numbers": False}}}  # fmt: skip
    embedder = open_embedder("embedded")
    for title, stage in source.items():
        mine = rows[:48] if title == "reconstruct" else rows
        both = pairs(made_by(places, mine, [stage]))
        own, other = (embedder.encode([pair[at] for pair in both]) for at in (0, 1))
        everything = embedder.encode([row["text"] for row in mine])
        left = [sum(len(find(pair[at], DEFAULT)) for pair in both) for at in (0, 1)]
        yield f"{title}: variants", f"{len(both)} of {len(mine)}"
        yield f"{title}: mean similarity to the own source", f"{(own * other).sum(1).mean():.3f}"
        nearest = (other @ everything.T).max(1).mean()
        yield f"{title}: mean similarity to the nearest source", f"{nearest:.3f}"
        yield f"{title}: data found by pii, before and after", f"{left[0]}, {left[1]}"


def downstream(places: Places, names: Sequence[str]) -> Figures:
    """A classifier trained on 200 reviews, and on these with variants."""
    from benchmarks.augmented_training import measure

    models = {"writer": {"model": "embedded"}, **translators(places)}
    yield from measure(places.data, partial(made_by, places), models, names)


PARTS: dict[str, Callable[[Places], Figures]] = {
    "gates": gates,
    "back_translate": back_translate,
    "by_chat": by_chat,
    "paraphrase": paraphrase,
    "noise": noise,
    "downstream": partial(downstream, names=["eda", "synonyms", "noise", "noise, words"]),
    "downstream_back_translate": partial(downstream, names=["back_translate"]),
    "downstream_paraphrase": partial(downstream, names=["paraphrase"]),
}

if __name__ == "__main__":
    where = Places(Path(sys.argv[1]), Path(sys.argv[2]))
    for part in sys.argv[3:] or PARTS:
        for row_name, figure in PARTS[part](where):
            print(f"  {row_name:<66} {figure}", flush=True)
