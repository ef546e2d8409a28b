"""Fine-tuning a model with random weights on a handful of exchanges."""

from pathlib import Path

import pytest
from tiny_models import save_causal

from chains.models.spec import ModelSpec
from chains.training import Exchange, FineTuning, fine_tune
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
