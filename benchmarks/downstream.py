"""Training data from the embedded model: classifiers trained on it, tested on real rows.

Three recipes write labelled rows; logistic regression on embeddings and on TF-IDF is trained on 500
of them and, for comparison, on 500 real rows, five draws each. Tested on SST-2 dev, the last 500
rows of TREC train and the last 1,900 rows of an AG News file, none of which is used for anything
else. `python -m benchmarks.downstream FOLDER [--candidates N] [TASK ...]`, where FOLDER holds
cls_sst2, cls_trec and cls_ag_news. The first run writes N rows a task, about 20 tokens each
(news 60), and scores them; the ledger is kept in the temporary folder, so that later ones are
quick. docs/evaluation.md keeps the figures.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.calling import Caller
from pipelines.evaluation.ablation import without
from pipelines.evaluation.downstream import (
    FEATURES,
    Features,
    Task,
    correctness,
    drawn,
    drawn_as_is,
    interval,
    majority,
)
from pipelines.evaluation.intrinsic import Embed
from pipelines.evaluation.loading import Texts, load_texts
from pipelines.evaluation.zero_shot import Asking, bias_of, labels_of, likelihoods
from pipelines.job import LoadedJob, load_job
from pipelines.launch import Options, launch
from pipelines.ledger import Ledger

ROWS = 500
SEEDS = 5
LEDGER = Path(tempfile.gettempdir()) / "textmill-benchmark-downstream.sqlite"

ASK = """
variables: {text: The question.}
messages: [{role: user, content: "{{ text }}\\n\\nWhat does the question ask for?"}]
"""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Setting:
    """A task: its recipe, its real rows, and how its labels are asked for.

    Attributes:
        recipe: A job in pipelines/recipes.
        real: Reads the real rows for training and for testing.
        prompt: What the model is asked with.
        reply: What a reply says.
        said: Label -> how it is said.
    """

    recipe: str
    real: Callable[[Path], tuple[Pairs, Pairs]]
    prompt: str
    reply: str
    said: dict[str, str]

    def asking(self) -> Asking:
        """As the stage `classify` takes it."""
        templates = [{"prompt": self.prompt, "reply": self.reply}]
        return Asking({"model": "embedded"}, self.said, templates, {"ask": ASK})


def _sst2(folder: Path) -> tuple[Pairs, Pairs]:
    names = {"0": "negative", "1": "positive"}

    def read(name: str) -> Pairs:
        lines = (folder / "cls_sst2" / name).read_text(encoding="utf-8").splitlines()
        return [(line[2:].strip(), names[line[0]]) for line in lines]

    return read("stsa.binary.train"), read("stsa.binary.dev")


def _trec(folder: Path) -> tuple[Pairs, Pairs]:
    names = {
        "DESC": "description",
        "ENTY": "entity",
        "ABBR": "abbreviation",
        "HUM": "person",
        "LOC": "location",
        "NUM": "number",
    }
    text = (folder / "cls_trec" / "TREC.train").read_text(encoding="latin-1")
    split = [line.split(" ", 1) for line in text.splitlines()]
    rows = [(question.strip(), names[mark.split(":")[0]]) for mark, question in split]
    return rows[:-500], rows[-500:]


def _ag_news(folder: Path) -> tuple[Pairs, Pairs]:
    names = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
    with (folder / "cls_ag_news" / "ag_news_first3800.csv").open(encoding="utf-8") as file:
        rows = [(f"{title}. {body}", names[mark]) for mark, title, body in csv.reader(file)]
    return rows[:-1900], rows[-1900:]


SETTINGS = {
    "SST-2": Setting(
        "sentiment",
        _sst2,
        "classify/sentiment",
        "The review is {label}",
        {"negative": "negative", "positive": "positive"},
    ),
    "TREC": Setting(
        "question_types",
        _trec,
        "ask",
        "The question asks for {label}",
        {
            "abbreviation": "an abbreviation",
            "description": "a description",
            "entity": "a thing",
            "location": "a place",
            "number": "a number",
            "person": "a person",
        },
    ),
    "AG News": Setting(
        "topics_news",
        _ag_news,
        "classify/text",
        "The news is about {label}",
        {
            "Business": "business",
            "Sci/Tech": "technology",
            "Sports": "sports",
            "World": "world politics",
        },
    ),
}


def measure(folder: Path, name: str, candidates: int) -> Iterator[tuple[str, str]]:
    """Baselines, then a line for every way to choose training rows and every sort of features."""
    setting = SETTINGS[name]
    options = Options(ledger=LEDGER)
    train, test = (_texts(pairs) for pairs in setting.real(folder))
    job = _job(setting.recipe, candidates)
    made, doubled = _written(job, options), _written(without(job, "dedup"), options)
    yield "rows written", f"{len(doubled)}, {len(made)} after dedup"
    with Ledger(LEDGER) as ledger, closing(Caller({}, "embedded", ledger)) as caller:
        figures = Figures(train, test, caller.embed)
        yield "majority", f"{figures.floor:.1%}"
        yield from figures.real()
        yield from figures.of("the recipe", made)
        yield from figures.of("the recipe without dedup", doubled)
        yield from figures.of("all rows", made, len(made))
        order = tuple(setting.said)
        scores = likelihoods(made.texts, setting.asking(), options)
        bias = bias_of(scores, made.labels, order)
        for way, rows in _chosen(made, scores - bias, order).items():
            yield from figures.of(way, rows)
        asked = likelihoods(test.texts, setting.asking(), options)
        for what, found in (("raw", asked), ("calibrated", asked - bias)):
            right = np.array(labels_of(found, order)) == np.array(test.labels)
            yield f"the model's own labels, {what}", f"{interval([right])['accuracy']:.1%}"


class Figures:
    """Accuracies on the test rows, beside those of real training rows.

    Args:
        train: Real rows.
        test: Real rows that nothing is trained on.
        embed: Gives unit vectors.
    """

    def __init__(self, train: Texts, test: Texts, embed: Embed) -> None:
        self._train = train
        self._test = test
        self._embed = embed
        self._best: dict[Features, float] = {}
        self.floor = majority(Task(train, train, test, ()))

    def real(self) -> Iterator[tuple[str, str]]:
        """Of as many real rows."""
        sets = [drawn_as_is(self._train, ROWS, seed) for seed in range(SEEDS)]
        for features in FEATURES:
            found = self._accuracy(sets, features)
            self._best[features] = found["accuracy"]
            yield f"{features}: {ROWS} real rows", self._shown(found, features)

    def of(self, way: str, rows: Texts, size: int = ROWS) -> Iterator[tuple[str, str]]:
        """Of rows drawn from those that a way leaves."""
        sets = [drawn(rows, size, seed) for seed in range(SEEDS if size < len(rows) else 1)]
        for features in FEATURES:
            found = self._accuracy(sets, features)
            yield f"{features}: {len(sets[0])} of {way}", self._shown(found, features)

    def _accuracy(self, sets: list[Texts], features: Features) -> dict[str, float]:
        return interval([correctness(each, self._test, features, self._embed) for each in sets])

    def _shown(self, found: dict[str, float], features: Features) -> str:
        way = (found["accuracy"] - self.floor) / (self._best[features] - self.floor)
        bounds = f"{found['low']:.1%} to {found['high']:.1%}"
        return f"{found['accuracy']:.1%} ({bounds}), {way:.0%} of the way"


def _chosen(made: Texts, scores: NDArray[np.float64], order: tuple[str, ...]) -> dict[str, Texts]:
    """The rows that the ways to use calibrated label likelihoods leave to draw from."""
    found = labels_of(scores, order)
    agreeing = [at for at, label in enumerate(made.labels) if label == found[at]]
    norm = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
    own = [scores[at, order.index(label)] - norm[at] for at, label in enumerate(made.labels)]
    return {
        "rows whose label the likelihoods share": made.at(agreeing),
        "rows with the label of the likelihoods": replace(made, labels=tuple(found)),
        "the surer half of each label": made.at(_surest(made, own, 2)),
        "the surest quarter of each label": made.at(_surest(made, own, 4)),
    }


def _surest(made: Texts, own: list[float], part: int) -> list[int]:
    """Places of the rows whose own label is most likely, the same share of each label."""
    places: list[int] = []
    for label in sorted(set(made.labels)):
        mine = [at for at, each in enumerate(made.labels) if each == label]
        places += sorted(mine, key=lambda at: -own[at])[: max(1, len(mine) // part)]
    return sorted(places)


def _job(recipe: str, candidates: int) -> LoadedJob:
    """The recipe without exports, its sources long enough to give so many rows."""
    path = Path(__file__).resolve().parents[1] / "pipelines" / "recipes" / f"{recipe}.yaml"
    counts = [getattr(source, "count", 0) for source in load_job(path).job.sources]
    settings = [
        f"sources.{at}.count={round(count * candidates / sum(counts))}"
        for at, count in enumerate(counts)
    ]
    return load_job(path, overrides=[*settings, "exports=[]", "block=96"])


def _written(job: LoadedJob, options: Options) -> Texts:
    with tempfile.TemporaryDirectory() as name:
        done = launch(job, Path(name) / "run", options)
        return load_texts(str(done.folder), text="text", label="label", labelled=True)


def _texts(pairs: Pairs) -> Texts:
    return Texts("real", "text", tuple(t for t, _ in pairs), tuple(x for _, x in pairs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", nargs="*", default=list(SETTINGS))
    parser.add_argument("--candidates", type=int, default=2000)
    given = parser.parse_args()
    for title in given.tasks:
        print(f"\n## {title}")
        for row_name, figure in measure(given.folder, title, given.candidates):
            print(f"  {row_name:<58} {figure}", flush=True)
