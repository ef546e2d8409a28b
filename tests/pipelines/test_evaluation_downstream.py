"""Training on synthetic rows: figures with a known answer, and what is refused."""

from collections.abc import Sequence

import numpy as np
import pytest

from chains.embedding.scripted import ScriptedEmbedder
from pipelines.evaluation.downstream import (
    drawn,
    interval,
    majority,
    recovered,
    split_task,
    train_and_test,
)
from pipelines.evaluation.loading import Texts
from pipelines.evaluation.reference import compare, copied, detectable, divergence
from pipelines.evaluation.vectors import Vectors
from pipelines.evaluation.zero_shot import bias_of, labels_of
from prompts.errors import UsageError

SUBJECTS = [
    "soup",
    "bread",
    "tea",
    "fish",
    "rice",
    "cake",
    "wine",
    "salad",
    "toast",
    "beans",
    "ham",
    "eggs",
    "corn",
    "figs",
    "plums",
]
SAID = {"good": ["lovely", "great", "superb"], "bad": ["awful", "nasty", "dreadful"]}


def rows(
    source: str, turns: int = 1, offset: int = 0, labels: Sequence[str] = ("good", "bad")
) -> Texts:
    found = [
        (f"the {subject} was {SAID[label][(place + offset) % 3]} {'again ' * turn}today", label)
        for turn in range(turns)
        for place, subject in enumerate(SUBJECTS)
        for label in labels
    ]
    return Texts(source, "text", tuple(t for t, _ in found), tuple(x for _, x in found))


def embed(texts: Sequence[str]) -> Vectors:
    return ScriptedEmbedder().encode(texts)


def test_labels_that_follow_from_words_are_learned_from_synthetic_rows() -> None:
    task = split_task(rows("made"), rows("real", 2, offset=1))
    found = train_and_test(task, embed, seeds=2)
    assert found["words"]["synthetic"]["accuracy"] == 1.0
    assert found["words"]["recovered"] == pytest.approx(1.0, abs=0.1)
    assert found["majority"] < 0.7


def test_wrong_labels_are_worth_less_than_the_majority() -> None:
    made = rows("made")
    turned = Texts(
        "made", "text", made.texts, tuple({"good": "bad", "bad": "good"}[x] for x in made.labels)
    )
    task = split_task(turned, rows("real", 2, offset=1))
    assert train_and_test(task, embed, seeds=1)["words"]["synthetic"]["accuracy"] < 0.2


def test_test_rows_are_never_trained_on() -> None:
    task = split_task(rows("made"), rows("real", 3), test=30)
    assert len(task.test) == 30
    assert not set(task.test.texts) & set(task.train.texts)


def test_the_interval_holds_the_spread_of_seeds_and_rows() -> None:
    sure = interval([np.ones(50, bool)] * 3)
    assert sure == {"accuracy": 1.0, "low": 1.0, "high": 1.0}
    rights = np.arange(100) < 70
    found = interval([rights])
    assert found["accuracy"] == 0.7
    # A bootstrap over 100 rows alone: 0.7 plus or minus 1.96 times its standard error of 0.0458.
    assert found["low"] == pytest.approx(0.61, abs=0.02)
    assert found["high"] == pytest.approx(0.79, abs=0.02)
    wider = interval([np.ones(100, bool), np.zeros(100, bool)])
    assert (wider["low"], wider["high"]) == (0.0, 1.0)


def test_recovered_is_the_share_of_the_gain_over_the_majority() -> None:
    scores = {"synthetic": {"accuracy": 0.7}, "real": {"accuracy": 0.75}}
    assert recovered(scores, 0.5) == 0.8
    assert recovered(scores, 0.75) is None


def test_majority_is_that_of_the_test_rows() -> None:
    task = split_task(rows("made"), rows("real", 2), test=20)
    counts = [task.test.labels.count(label) for label in task.labels]
    assert majority(task) == max(counts) / 20


def test_drawn_rows_have_even_labels_and_differ_by_seed() -> None:
    data = rows("made", 2)
    first = drawn(data, 20, 0)
    assert first.labels.count("good") == 10
    assert first.texts != drawn(data, 20, 1).texts


@pytest.mark.parametrize(
    ("made", "real", "said"),
    [
        (rows("made", labels=["good"]), rows("real"), "'made' has one label, 'good'"),
        (rows("made"), rows("real", labels=["bad"]), "'real' has one label, 'bad'"),
        (
            rows("made"),
            Texts("real", "text", ("a", "b"), ("good", "mixed")),
            "'real' has the label 'mixed', which no synthetic row has; fix: the synthetic rows "
            "have: bad, good",
        ),
        (rows("made"), Texts("real", "text", ("a", "b"), ("good", "bad")), "leaves 1 rows to test"),
    ],
)
def test_what_cannot_be_tested_is_said(made: Texts, real: Texts, said: str) -> None:
    with pytest.raises(UsageError) as error:
        split_task(made, real)
    assert said in str(error.value)


def test_a_calibrated_cut_lies_where_the_labels_are_as_frequent_as_given() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]))
    assert labels_of(scores, ["a", "b"]) == ["a"] * 4
    bias = bias_of(scores, ["a", "b", "a", "b"], ["a", "b"])
    assert labels_of(scores - bias, ["a", "b"]) == ["a", "a", "b", "b"]


def test_divergence_is_zero_for_equal_and_one_for_disjoint_histograms() -> None:
    from collections import Counter

    assert divergence(Counter("aab"), Counter("aabaab")) == pytest.approx(0)
    assert divergence(Counter("ab"), Counter("cd")) == pytest.approx(1)
    # Half of the mass in common: 1 - H(1/4, 1/2, 1/4) + H(1/2, 1/2) = 0.5 bits.
    assert divergence(Counter("ab"), Counter("bc")) == pytest.approx(0.5)


def test_detectable_is_one_for_unlike_and_about_half_for_alike_texts() -> None:
    unlike = detectable(["red wine"] * 20, ["blue sky"] * 20)
    alike = detectable([f"row {i} of it" for i in range(40)], [f"row {i} of it" for i in range(40)])
    assert unlike == 1.0
    assert alike < 0.6


def test_copies_are_found_without_regard_to_case_and_stops() -> None:
    assert copied(["A gem!", "new"], ["a gem.", "other"]) == 0.5


def test_a_set_beside_itself_is_as_near_as_can_be() -> None:
    data = rows("made", 2)
    found = compare(data, data, embed)
    assert found["copied"] == 1.0
    assert found["length_divergence"] == found["vocabulary_divergence"] == 0.0
    assert found["coverage"] == 1.0
    assert found["frontier"] == pytest.approx(1, abs=0.01)


def test_too_few_rows_are_not_compared() -> None:
    with pytest.raises(UsageError, match="'few' has 2 texts"):
        compare(rows("made"), Texts("few", "text", ("a", "b")), embed)
