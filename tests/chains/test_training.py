"""Fine-tuning models with random weights on a handful of exchanges or labelled texts."""

from pathlib import Path

import pytest
import torch
from tiny_models import save_causal, save_encoder

from chains.models.spec import ModelSpec
from chains.training import Classifying, Exchange, FineTuning, classify, fine_tune
from prompts.errors import UsageError

SHOUTS = [Exchange(f"say {word}", word) for word in ("cat", "dog", "mat", "room")] * 4
QUICK = FineTuning(epochs=12, batch=4, rank=16, learning_rate=0.02, max_tokens=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("tiny"))


def test_training_lowers_the_perplexity_of_what_was_learned_and_repeats(folder: Path) -> None:
    spec = ModelSpec(model=str(folder), device="cpu")
    first = fine_tune(spec, SHOUTS, SHOUTS[:4], QUICK, offline=True)
    assert first.before.perplexity > 100  # of 320 tokens, with random weights
    assert first.after.perplexity < first.before.perplexity / 10
    assert first.before.exact_match == 0
    assert first.after.exact_match >= 0.25
    assert fine_tune(spec, SHOUTS, SHOUTS[:4], QUICK, offline=True) == first


@pytest.mark.parametrize(
    ("spec", "train", "said"),
    [
        (ModelSpec(model="scripted"), SHOUTS, "cannot be trained"),
        (ModelSpec(model="embedded"), [], "nothing to train"),
    ],
)
def test_what_cannot_be_trained_is_said(spec: ModelSpec, train: list[Exchange], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fine_tune(spec, train, SHOUTS[:1], QUICK)


ANIMALS, ROOMS = ("cat", "dog", "ran after"), ("room", "mat", "rivers")
PLACES = ("the small", "a short", "question the", "is this a test", "it writes the", "and on")
LABELLED = [
    (f"{start} {word} {number}", label)
    for number in range(3)
    for start in PLACES
    for label, words in (("animal", ANIMALS), ("thing", ROOMS))
    for word in words
]
LEARNING = Classifying(epochs=8, learning_rate=2e-3, batch=8)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_encoder(tmp_path_factory.mktemp("encoder")))


def test_an_encoder_learns_which_words_go_with_which_label(encoder: str) -> None:
    pairs = [("animal", word) for word in ANIMALS] + [("thing", word) for word in ROOMS]
    held = [(f"this test is {word}", label) for label, word in pairs]
    texts = [text for text, _ in held]
    drawn = torch.random.get_rng_state()
    found = classify(encoder, LABELLED, texts, LEARNING, offline=True)
    assert found == [label for _, label in held]
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert classify(encoder, LABELLED, texts, LEARNING, offline=True) == found


def test_texts_of_any_length_are_labelled_alike_in_any_order(encoder: str) -> None:
    texts = [
        "a cat",
        "the room is small and the cat sat on the mat " * 40,
        "",
        "rivers",
        "\u4f60\u597d",
    ]
    backwards = classify(encoder, LABELLED, texts[::-1], LEARNING)
    assert classify(encoder, LABELLED, texts, LEARNING) == backwards[::-1]


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("scripted", LABELLED, "nothing to train"),
        ("embedded", [("a", "one"), ("b", "one")], "needs two labels"),
    ],
)
def test_what_is_no_encoder_is_said(name: str, rows: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        classify(name, rows, ["c"], LEARNING)
