"""A BERT that is fine-tuned on synthetic rows, and on as many real ones, tested on real rows.

    train_encoder(task, "embedded", seeds=5)
    {"synthetic": {"accuracy": 0.81, ...}, "real": {...}, "recovered": 0.92}

It sees what `train_and_test` gives its classifiers: the same rows for the same seeds.
"""

from collections.abc import Callable

import numpy as np

from pipelines.evaluation.downstream import (
    Correct,
    Task,
    drawn,
    drawn_as_is,
    interval,
    majority,
    recovered,
)
from pipelines.evaluation.loading import Texts
from pipelines.rows import JSON


def train_encoder(
    task: Task,
    encoder: str,
    *,
    seeds: int = 5,
    offline: bool = False,
    progress: Callable[[str], None] = lambda said: None,
) -> dict[str, JSON]:
    """Accuracy of the encoder trained on synthetic and on real rows, and what is recovered.

    Args:
        task: What is trained and tested.
        encoder: `embedded`, a folder or a Hub id.
        seeds: Training samples; each is a training of its own, with weights of its own.
        offline: Never ask a model hub.
        progress: Told what is under way.

    Raises:
        UsageError: It is no encoder.
        ModelError: The encoder cannot be found or loaded.
    """
    wanted = min(len(task.made), len(task.train))
    correct: dict[str, list[Correct]] = {"synthetic": [], "real": []}
    for seed in range(seeds):
        progress(f"fine-tuning {encoder}, sample {seed + 1} of {seeds}")
        made, real = drawn(task.made, wanted, seed), drawn_as_is(task.train, wanted, seed)
        for name, rows in (("synthetic", made), ("real", real)):
            correct[name].append(_correct(rows, task.test, encoder, seed, offline))
    scores = {name: interval(each) for name, each in correct.items()}
    return {**scores, "recovered": recovered(scores, majority(task))}


def _correct(train: Texts, test: Texts, encoder: str, seed: int, offline: bool) -> Correct:
    if len(set(train.labels)) < 2:
        found = [train.labels[0]] * len(test)
    else:
        from chains.training import Classifying, classify

        rows = list(zip(train.texts, train.labels, strict=True))
        found = classify(encoder, rows, test.texts, Classifying(seed=seed), offline=offline)
    right: Correct = np.array(found) == np.array(test.labels)
    return right
