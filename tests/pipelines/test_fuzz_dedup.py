"""Any settings of near-duplicates are refused with their key, or reject true ones and no others."""

from typing import Any

from fakes import outcomes, row
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from pipelines.normalising import normalised
from pipelines.rows import Rejection
from pipelines.stages import STAGES, Dedup
from pipelines.stages.dedup.shingling import jaccard, shingles
from prompts.errors import UsageError

SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "threshold": st.one_of(st.floats(0, 1), st.sampled_from([-1, 0, 1, 2, float("nan")])),
        "num_perm": st.sampled_from([-1, 0, 1, 2, 7, 16, 60, 64, 128, 1024, 10**9]),
        "bands": st.sampled_from([0, 1, 2, 4, 7, 16, 30, 64, 128, 1024, 2**70]),
        "ngram": st.sampled_from([0, 1, 2, 3, 5, 20, 100, 10**6]),
        "unit": st.sampled_from(["chars", "words", "bytes"]),
        "normalise": st.booleans(),
    },
)
WORDS = st.sampled_from(["a", "A", "bee", "cat.", "été", "e\u0301te\u0301", "\u200b", "日本", "!"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=2, max_size=12)


def built(settings: dict[str, Any]) -> Dedup | None:
    """The stage; None where it is refused with one line that names what is wrong."""
    try:
        stage = STAGES.build({"kind": "dedup", "field": "text", **settings}, key="stages.0")
    except UsageError as exc:
        refused = str(exc)
    else:
        assert isinstance(stage, Dedup)
        return stage
    assert refused.startswith("stages.0")
    assert "\n" not in refused
    return None


@fuzzed(150)
@given(SETTINGS, TEXTS)
def test_any_settings_of_minhash(settings: dict[str, Any], texts: list[str]) -> None:
    stage = built(settings)
    if stage is None:
        return
    compared = [normalised(text) if stage.normalise else text for text in texts]
    sets = [shingles(text, stage.ngram, stage.unit) for text in compared]
    kept: list[int] = []
    for number, outcome in enumerate(
        outcomes(stage, [row(id=f"r{n}", text=t) for n, t in enumerate(texts)])
    ):
        if not isinstance(outcome, Rejection):
            assert compared[number] not in [compared[twin] for twin in kept]
            kept.append(number)
            continue
        if outcome.reason != "duplicate":
            continue
        twin = int(outcome.detail["twin"][1:])
        assert twin in kept
        assert (
            jaccard(sets[number], sets[twin]) >= stage.least or compared[number] == compared[twin]
        )


def test_ordinary_settings_are_not_refused() -> None:
    assert built({"threshold": 0.7, "num_perm": 60, "bands": 30, "ngram": 3}) is not None
