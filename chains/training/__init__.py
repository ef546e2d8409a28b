"""Fine-tuning a model on a dataset, to find out what the dataset is worth. Light at import.

result = fine_tune(ModelSpec(model="embedded"), train, test, FineTuning(epochs=3))
result.before.perplexity, result.after.perplexity      # 41.2, 18.7 on the held-out replies
classify("embedded", [("A gem.", "good"), ...], ["A bore."], Classifying())     # ["bad"]
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chains.training.settings import Classifying, Exchange, FineTuning, Outcome, Scores

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec

__all__ = ["Classifying", "Exchange", "FineTuning", "Outcome", "Scores", "classify", "fine_tune"]


def classify(
    name: str,
    train: "Sequence[tuple[str, str]]",
    texts: "Sequence[str]",
    settings: Classifying,
    *,
    offline: bool = False,
) -> list[str]:
    """Fine-tune an encoder on labelled texts and give the labels of others. On the CPU.

    Args:
        name: As for an embedder: `embedded`, a folder or a Hub id; BERT-like.
        train: Texts with their labels, two labels at least.
        texts: What is labelled.
        settings: How to train.
        offline: Never ask a model hub.

    Raises:
        UsageError: There are not two labels, or it is no encoder.
        ModelError: The encoder cannot be found or loaded.
    """
    from chains.training.encoder import classify as train_and_classify

    return train_and_classify(name, train, texts, settings, offline=offline)


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
