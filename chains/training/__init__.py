"""Fine-tuning a model on a dataset, to find out what the dataset is worth. Light at import.

result = fine_tune(ModelSpec(model="embedded"), train, test, FineTuning(epochs=3))
result.before.perplexity, result.after.perplexity      # 41.2, 18.7 on the held-out replies
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chains.training.settings import Exchange, FineTuning, Outcome, Scores

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec

__all__ = ["Exchange", "FineTuning", "Outcome", "Scores", "fine_tune"]


def fine_tune(
    spec: "ModelSpec",
    train: "Sequence[Exchange]",
    test: "Sequence[Exchange]",
    settings: FineTuning,
    *,
    offline: bool = False,
) -> Outcome:
    """Train low-rank adapters of a causal model and test it before and after.

    Args:
        spec: A local causal model.
        train: Exchanges to learn from.
        test: Held-out exchanges.
        settings: How to train.
        offline: Never ask a model hub.

    Raises:
        UsageError: The extra `train` is not installed, the model cannot be trained, or a set is
            empty.
        ModelError: The model cannot be found or loaded.
    """
    from chains.training.lora import fine_tune as train_adapters

    return train_adapters(spec, train, test, settings, offline=offline)
