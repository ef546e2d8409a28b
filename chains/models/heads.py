"""Whether a model folder is that of a classifier, and its labels: read from config.json alone.

head_of({"architectures": ["BertForSequenceClassification"],
         "id2label": {"0": "NEGATIVE", "1": "POSITIVE"}})          # ("NEGATIVE", "POSITIVE")
head_of({"architectures": ["LlamaForCausalLM"]})                   # None
"""

from collections.abc import Mapping
from typing import Any

_SUFFIX = "ForSequenceClassification"
_UNNAMED = {"0": "LABEL_0", "1": "LABEL_1"}  # transformers leaves out what is its default


def head_of(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The labels of a sequence-classification head, in the order of its logits.

    Args:
        config: What config.json holds.

    Returns:
        One label for a regression or reward model; None for a model of another kind.
    """
    architectures = config.get("architectures") or [""]
    if not str(architectures[0]).endswith(_SUFFIX):
        return None
    named = config.get("id2label") or _UNNAMED
    return tuple(str(named[key]) for key in sorted(named, key=int))
