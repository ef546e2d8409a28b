"""What the judging stages read from models: heads of classifiers, log-probabilities of replies.

logprob_of([Reply("good", "stop", logprob=-0.1)])            # -0.1
logprob_of([Reply("", "error", error="bad_text: ...")])      # Fault("bad_text", {"found": "..."})
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chains.calls import Reply
from pipelines.rows import Fault
from pipelines.stages.base import Context
from prompts.errors import ModelError

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec


def check_head(spec: "ModelSpec") -> tuple[str, ...] | None:
    """The labels of a classifier whose files are on this machine; None of any other model."""
    from chains.models import head_labels

    try:
        return head_labels(spec, offline=True)
    except ModelError:
        return None


def open_head(model: str, context: Context) -> tuple[str, ...] | None:
    """The labels of a classifier, fetched where it is not on this machine; None of a writer.

    Raises:
        ModelError: The model cannot be found.
    """
    from chains.models import head_labels

    context.model_label(model)  # in an offline run this says that a model is not here
    spec = context.spec(model)
    try:
        return head_labels(spec, offline=True)
    except ModelError:
        return head_labels(spec)


def logprob_of(replies: Sequence[Reply]) -> float | Fault:
    """The log-probability that one scored call came back with, or why there is none."""
    if not replies:
        return Fault("no_reply")
    if replies[0].finish == "error":
        return fault_of(replies[0])
    if replies[0].logprob is None:
        return Fault("no_logprob")
    return replies[0].logprob


def fault_of(reply: Reply) -> Fault:
    """What went wrong with a reply whose finish is "error"."""
    reason, _, found = reply.error.partition(": ")
    return Fault(reason, {"found": found})
