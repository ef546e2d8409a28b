"""Train on synthetic, test on real: what a dataset is worth as training data.

    trial = Trial(train, test, features="words")
    trial.accuracy          # 0.74

    scores = [accuracies(...) for seed in range(5)]
    interval(correct)       # (0.745, 0.716, 0.772): mean and 95 % bounds

Classifiers are logistic regressions on TF-IDF (`words`) or on the job's embeddings (`vectors`).
The interval is a bootstrap over test rows and seeds together: both are drawn with replacement, so
it holds what another test set and another training sample of the same size would change.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipelines.evaluation.intrinsic import DIGITS, Embed, rounded
from pipelines.evaluation.loading import Texts
from pipelines.evaluation.sampling import stratified
from pipelines.rows import JSON
from prompts.errors import UsageError

Correct = np.ndarray[Any, np.dtype[np.bool_]]

Features = Literal["words", "vectors"]
FEATURES: tuple[Features, ...] = ("words", "vectors")
STRENGTH: dict[Features, float] = {"words": 10.0, "vectors": 1.0}
"""Inverse strengths of the L2 penalty that suit 500 real rows of SST-2; the same for every set."""
DRAWS = 2_000
FEWEST = 20  # test rows


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained and tested, checked.

    Attributes:
        made: The synthetic rows.
        train: Real rows to train the baseline on.
        test: Real rows that nothing is trained on.
        labels: All labels, sorted.
    """

    made: Texts
    train: Texts
    test: Texts
    labels: tuple[str, ...]


def split_task(made: Texts, real: Texts, *, test: int | None = None, seed: int = 0) -> Task:
    """Divide the real rows into test rows and training rows of the baseline.

    Args:
        made: Synthetic rows with labels.
        real: Real rows with labels.
        test: Test rows, drawn by hash with the labels as the real rows have them; left out, half.
        seed: Of the drawing.

    Raises:
        UsageError: There are too few rows or labels, or the real rows have others.
    """
    check_labels(made, real)
    order = _drawn(real, seed)
    count = min(test or len(real) // 2, len(real) - 1)
    if count < FEWEST:
        fix = f"give at least {2 * FEWEST} real rows"
        raise UsageError(f"'{real.source}' leaves {count} rows to test on", fix=fix, key="--real")
    chosen = set(order[:count])
    rest = [place for place in range(len(real)) if place not in chosen]
    return Task(made, real.at(rest), real.at(sorted(chosen)), tuple(sorted(set(made.labels))))


def check_labels(made: Texts, real: Texts) -> None:
    """Both sets have the same labels, two at least.

    Raises:
        UsageError: They do not.
    """
    ours, theirs = set(made.labels), set(real.labels)
    for data, found in ((made, ours), (real, theirs)):
        if len(found) < 2:
            problem = f"'{data.source}' has one label, '{next(iter(found), '')}'"
            raise UsageError(problem, fix="give rows of two labels or more", key="--label")
    if stray := sorted(theirs - ours):
        fix = f"the synthetic rows have: {', '.join(sorted(ours))}; rename or leave out the others"
        problem = f"'{real.source}' has the label '{stray[0]}', which no synthetic row has"
        raise UsageError(problem, fix=fix, key="--real")


def _drawn(data: Texts, seed: int) -> list[int]:
    from pipelines.evaluation.sampling import ranked

    keys = [f"{label}\x00{text}" for label, text in zip(data.labels, data.texts, strict=True)]
    return ranked(keys, seed)


def drawn(data: Texts, size: int, seed: int) -> Texts:
    """`size` rows with the labels as evenly as they can be had, drawn by hash."""
    return data.at(stratified(data.labels, data.texts, size, seed))


def correctness(train: Texts, test: Texts, features: Features, embed: Embed) -> Correct:
    """For each test row whether a classifier trained on `train` is right, bool [test rows]."""
    predicted = predict(train, test.texts, features, embed)
    found: Correct = np.array(predicted) == np.array(test.labels)
    return found


def predict(train: Texts, texts: Sequence[str], features: Features, embed: Embed) -> list[str]:
    """The labels that a classifier trained on `train` gives to `texts`."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(set(train.labels)) < 2:
        return [train.labels[0]] * len(texts)
    model = LogisticRegression(max_iter=2000, C=STRENGTH[features])
    if features == "vectors":
        model.fit(embed(train.texts), list(train.labels))
        return [str(label) for label in model.predict(embed(texts))]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+")
    model.fit(words.fit_transform(train.texts), list(train.labels))
    return [str(label) for label in model.predict(words.transform(texts))]


def interval(correct: Sequence[Correct], seed: int = 0) -> dict[str, JSON]:
    """Mean accuracy with its 95 % bounds over seeds and test rows.

    Args:
        correct: For each seed, which test rows were right.
        seed: Of the bootstrap.
    """
    rights = np.stack(correct).astype(np.float64)
    random = np.random.Generator(np.random.Philox(seed))
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        seeds = random.integers(0, len(rights), len(rights))
        rows = random.integers(0, rights.shape[1], rights.shape[1])
        means[draw] = rights[seeds].mean(0)[rows].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return rounded({"accuracy": float(rights.mean()), "low": float(low), "high": float(high)})


def train_and_test(
    task: Task,
    embed: Embed,
    *,
    seeds: int = 5,
    size: int | None = None,
    progress: Callable[[str], None] = lambda said: None,
) -> dict[str, JSON]:
    """Accuracy of classifiers trained on synthetic rows, on as many real ones, and the majority.

    Every seed draws its own training rows; where all rows are asked for, seeds do not differ.

    Args:
        task: What is trained and tested.
        embed: The job's embedder.
        seeds: Training samples.
        size: Training rows; left out, as many as both sets have.
        progress: Told what is under way.
    """
    wanted = min(size or len(task.made), len(task.made), len(task.train))
    found: dict[str, JSON] = {
        "test_rows": len(task.test),
        "train_rows": wanted,
        "seeds": seeds,
        "majority": round(majority(task), DIGITS),
    }
    for features in FEATURES:
        progress(f"classifiers on {features}")
        made = [drawn(task.made, wanted, seed) for seed in range(seeds)]
        real = [drawn_as_is(task.train, wanted, seed) for seed in range(seeds)]
        scores = {
            "synthetic": interval([correctness(t, task.test, features, embed) for t in made]),
            "real": interval([correctness(t, task.test, features, embed) for t in real]),
        }
        found[features] = {**scores, "recovered": recovered(scores, found["majority"])}
    return found


def drawn_as_is(data: Texts, size: int, seed: int) -> Texts:
    """`size` rows drawn by hash with labels as frequent as they are in the set."""
    return data.at(sorted(_drawn(data, seed)[:size]))


def majority(task: Task) -> float:
    """Accuracy of always saying the most frequent label of the test rows."""
    return Counter(task.test.labels).most_common(1)[0][1] / len(task.test)


def recovered(scores: Mapping[str, Any], floor: float) -> float | None:
    """How far synthetic rows come from the majority to real rows: 1 is all of it."""
    real, made = float(scores["real"]["accuracy"]), float(scores["synthetic"]["accuracy"])
    reach = real - floor
    if reach <= 0:
        return None
    return round((made - floor) / reach, DIGITS)


def learning_curve(
    task: Task, embed: Embed, *, seeds: int, features: Features = "vectors"
) -> list[dict[str, JSON]]:
    """Accuracy on synthetic rows of growing number: an eighth, a quarter, half, all."""
    sizes = sorted({max(2, len(task.made) // part) for part in (8, 4, 2, 1)})
    return [
        {
            "rows": size,
            **interval(
                [
                    correctness(drawn(task.made, size, seed), task.test, features, embed)
                    for seed in range(seeds)
                ]
            ),
        }
        for size in sizes
    ]
