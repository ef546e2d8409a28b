"""Fine-tuning a model of the job on its rows, and how well it then gives real, held-out replies.

    tuned(run, real, ("question", "answer"), spec)
    {"train": 200, "test": 50, "before": {"perplexity": 31.2, "exact_match": 0.02}, "after": {...}}

It tells whether rows for generation are worth training on, as the classifiers do for labelled rows.
"""

from collections.abc import Sequence

from chains.models.spec import ModelSpec
from pipelines.evaluation.loading import load_columns
from pipelines.evaluation.sampling import places
from pipelines.rows import JSON

TEST = 200
"""Real exchanges that are tested on at most, drawn by hash."""


def tuned(
    run: str, real: str, columns: tuple[str, str], spec: ModelSpec, *, offline: bool = False
) -> dict[str, JSON]:
    """Train on the run's rows and test on real ones, before and after.

    Args:
        run: As for `evaluate`.
        real: A file of records or a dataset.
        columns: Those of prompt and completion, in both.
        spec: The model.
        offline: Never ask a model hub.

    Raises:
        UsageError: A column is missing, or the model cannot be trained.
    """
    from chains.training import Exchange, FineTuning, fine_tune

    train = [Exchange(*pair) for pair in load_columns(run, columns)]
    held = [Exchange(*pair) for pair in load_columns(real, columns)]
    test = [held[place] for place in places([_key(pair) for pair in held], TEST)]
    outcome = fine_tune(spec, train, test, FineTuning(), offline=offline)
    before, after = (
        {"perplexity": round(each.perplexity, 3), "exact_match": round(each.exact_match, 4)}
        for each in outcome
    )
    return {"train": len(train), "test": len(test), "before": before, "after": after}


def _key(pair: Sequence[str]) -> str:
    return "\x00".join(pair)
