"""Reconstruct, expand, compress, counterfactual; candidates, styles and the gate `label`."""

import numpy as np
import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import prompt_text

from chains.calls import Call, Reply
from chains.decoding import Score
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Ask, Stage
from pipelines.stages.augment.gates import Gates, parascore
from prompts.errors import UsageError

ORIGINAL = "The museum opens at nine on Monday."
GOOD = [
    "On Mondays the museum opens its doors at nine.",
    "Nine is when the museum opens each Monday.",
    "Every Monday, visitors may come to the museum from nine.",
]
PROMPTS = {
    "rewrite/paraphrase": prompt_text("In other words: {{ text }}", ["text"]),
    "rewrite/style": prompt_text("{{ style }}: {{ text }}", ["text", "style"]),
    "rewrite/restore": prompt_text("Notes: {{ text }}", ["text"]),
    "rewrite/expand": prompt_text("Longer: {{ text }}", ["text"]),
    "rewrite/compress": prompt_text("Shorter: {{ text }}", ["text"]),
    "rewrite/counterfactual": prompt_text(
        "{{ text }} ({{ label }}, {{ target }})", ["text", "label", "target"]
    ),
    "classify/text": prompt_text("{{ text }} ({{ labels }})", ["text", "labels"]),
}
LABEL = {"model": "judge", "labels": ["good", "bad"], "calibrate": {"method": "none"}}
BEAMS = {"strategy": "diverse_beam", "num_beams": 4, "num_beam_groups": 4, "n": 3}


class Several(FakeContext):
    """Gives the same replies to every call of a writer, and labels by a word to a judge."""

    replies: list[str] = []

    def answer(self, ask: Ask) -> list[list[Reply]]:
        self.asked.append(ask)
        return [self._of(call) for call in ask.calls]

    def _of(self, call: Call) -> list[Reply]:
        if not isinstance(call.decoding, Score):
            return [Reply(text, "stop") for text in self.replies[: call.decoding.n]]
        bad = "not" in call.messages[-1].content.partition(" (")[0]
        likely = call.decoding.target.endswith("bad") == bad
        return [Reply(call.decoding.target, "stop", logprob=-0.1 if likely else -3.0)]


def stage(kind: str, **settings: object) -> Stage:
    given = {"kind": kind, "name": "s", "field": "text", "model": "writer", **settings}
    built: Stage = STAGES.build(given, key="stages.0")
    return built


def run(built: Stage, replies: list[str], text: str = ORIGINAL, **columns: str) -> list[Outcome]:
    context = Several(built, prompts=PROMPTS)
    context.replies = replies
    return outcomes(built, [row(id="r5", text=text, **columns)], context)


def texts(results: list[Outcome]) -> list[str]:
    return [result.data["text"] for result in results if isinstance(result, Row)]


# Candidates.


def test_of_several_candidates_the_one_with_the_best_score_is_taken() -> None:
    built = stage("paraphrase", decoding=BEAMS, gates={"difference": 0.05})
    near = "The museum opens at nine on a Monday."
    _, variant = run(built, [near, ORIGINAL, GOOD[2]])
    assert isinstance(variant, Row)
    assert variant.data["text"] == GOOD[2]
    event = variant.history[-1]
    assert (event["candidates"], event["passed"]) == (3, 2)
    assert event["parascore"] == round(parascore(event["similarity"], event["difference"]), 4)


def test_one_search_gives_as_many_variants_as_candidates() -> None:
    built = stage("paraphrase", decoding=BEAMS, variants=3)
    results = run(built, GOOD)
    assert sorted(texts(results)) == sorted([ORIGINAL, *GOOD])
    with pytest.raises(UsageError, match="it gives only 3"):
        stage("paraphrase", decoding=BEAMS, variants=4)


def test_where_no_candidate_passes_the_first_tells_why() -> None:
    built = stage("paraphrase", decoding=BEAMS)
    _, rejection = run(built, ["It opens at ten.", ORIGINAL, ORIGINAL])
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.attempts) == ("numbers_changed", 1)


def test_parascore_rewards_other_words_up_to_a_point() -> None:
    assert parascore(0.9, 0.35) == parascore(0.9, 0.9) == pytest.approx(0.9 + 0.05 * 0.35)
    assert parascore(0.9, 0.0) == pytest.approx(0.85)
    assert parascore(0.9, 0.3499) == pytest.approx(parascore(0.9, 0.35), abs=1e-4)


# Styles.


def test_variants_take_the_styles_in_turn() -> None:
    styles = ["formal", "as a pirate"]
    built = stage("paraphrase", prompt="rewrite/style", styles=styles, variants=2)
    context = FakeContext(
        built, lambda model, call: GOOD["pirate" in call.messages[-1].content], prompts=PROMPTS
    )
    _, *variants = outcomes(built, [row(text=ORIGINAL)], context)
    found = {v.history[-1]["style"]: v.data["text"] for v in variants if isinstance(v, Row)}
    assert found == {"formal": GOOD[0], "as a pirate": GOOD[1]}
    said = {ask.calls[0].messages[-1].content.partition(":")[0] for ask in context.asked}
    assert said == {"formal, as in an official letter", "as a pirate"}


def test_styles_need_a_prompt_that_takes_one() -> None:
    job = FakeJob(prompts=PROMPTS, models=["writer"], columns=["text"])
    stage("paraphrase", prompt="rewrite/style", styles=["formal"]).check(job)
    with pytest.raises(UsageError, match="has no variable 'style'"):
        stage("paraphrase", styles=["formal"]).check(job)
    with pytest.raises(UsageError, match="missing column style"):
        stage("paraphrase", prompt="rewrite/style").check(job)


# The gate `label`.


@pytest.mark.parametrize(
    ("reply", "label", "reason"),
    [(GOOD[0], "good", ""), (GOOD[0], "bad", "label_changed"), (GOOD[0], "odd", "unknown_label")],
)
def test_a_variant_has_to_keep_its_label(reply: str, label: str, reason: str) -> None:
    built = stage("paraphrase", attempts=1, gates={"label": LABEL})
    results = run(built, [reply], label=label)
    assert reasons(results) == ["", reason]
    if not reason:
        found = results[1].history[-1]["label"]  # type: ignore[union-attr]
        assert found["found"] == "good"
        assert found["probability"] > 0.9
    else:
        assert isinstance(results[1], Rejection)
        assert results[1].detail["label"] == label


def test_a_label_has_to_be_probable_enough() -> None:
    built = stage("paraphrase", attempts=1, gates={"label": {**LABEL, "min_probability": 0.99}})
    assert reasons(run(built, [GOOD[0]], label="good")) == ["", "label_changed"]


def test_what_the_label_needs_is_checked_beforehand() -> None:
    built = stage("paraphrase", gates={"label": LABEL})
    job = FakeJob(prompts=PROMPTS, models=["writer", "judge"], columns=["text", "label"])
    built.check(job)
    with pytest.raises(UsageError, match="missing column label"):
        built.check(FakeJob(prompts=PROMPTS, models=["writer", "judge"], columns=["text"]))
    with pytest.raises(UsageError, match="unknown model 'judge'") as caught:
        built.check(FakeJob(prompts=PROMPTS, models=["writer"], columns=["text", "label"]))
    assert caught.value.key == "gates.label.model"


# Names.


def test_names_have_to_stay_where_the_gate_is_closed() -> None:
    fault = Gates(entities=True).fault("We met Ann in Rome.", "In Rome, a woman met all of us.")
    assert fault is not None
    assert (fault.reason, fault.detail) == ("names_changed", {"missing": ["ann"], "added": []})
    assert Gates().fault("We met Ann in Rome.", "In Rome, a woman met all of us.") is None


# Counterfactuals.


def counterfactual(**settings: object) -> Stage:
    given = {"labels": ["good", "bad"], "gates": {"label": LABEL}, "attempts": 1, **settings}
    return stage("counterfactual", **given)


TENT = "The tent is dry after the rain."


def test_a_counterfactual_has_the_other_label_and_the_smallest_edit() -> None:
    built = counterfactual(decoding={"strategy": "beam", "n": 3})
    replies = ["The tent is surely not dry after the rain.", "The tent is not dry after the rain.",
               "The tent is still dry after the rain."]  # fmt: skip
    original, variant = run(built, replies, TENT, label="good")
    assert isinstance(original, Row)
    assert isinstance(variant, Row)
    assert original.data == {"text": TENT, "label": "good"}
    assert variant.data == {"text": replies[1], "label": "bad"}
    event = variant.history[-1]
    assert (event["from"], event["to"]) == ("good", "bad")
    assert (event["candidates"], event["passed"]) == (3, 2)
    assert event["shift"] > 0.8


def test_a_label_that_the_original_already_had_is_not_the_edit_s() -> None:
    wet = "The tent is not dry after the rain."
    results = run(counterfactual(), ["The tent is not dry after this rain."], wet, label="good")
    assert reasons(results) == ["", "label_not_moved"]
    assert isinstance(results[1], Rejection)
    assert results[1].detail == {"shift": 0.0, "least": 0.3}


@pytest.mark.parametrize(
    ("reply", "label", "wanted"),
    [
        ("The tent is still dry after the rain.", "good", ["", "label_changed"]),
        ("Nothing was as wet as this old tent, I will not buy it.", "good", ["", "too_different"]),
        (TENT, "good", ["", "identical"]),
        ("The tent is not dry.", "odd", ["unknown_label"]),
    ],
)
def test_what_is_no_counterfactual_is_refused(reply: str, label: str, wanted: list[str]) -> None:
    assert reasons(run(counterfactual(), [reply], TENT, label=label)) == wanted


def test_a_counterfactual_needs_a_check_of_its_label() -> None:
    with pytest.raises(UsageError, match="what finds the new label"):
        counterfactual(gates={})
    with pytest.raises(UsageError, match="name different columns"):
        counterfactual(column="mood")
    with pytest.raises(UsageError, match="at least 2"):
        counterfactual(labels=["good"])


# Reconstruct, expand, compress.


def test_a_text_is_restored_from_what_noise_left() -> None:
    built = stage("reconstruct", rate=0.4, operations=["mask"])
    context = FakeContext(built, lambda model, call: GOOD[0], prompts=PROMPTS)
    _, variant = outcomes(built, [row(text=ORIGINAL)], context)
    assert isinstance(variant, Row)
    event = variant.history[-1]
    assert "[...]" in event["noised"]
    assert context.asked[0].calls[0].messages[-1].content == f"Notes: {event['noised']}"
    assert variant.data["text"] == GOOD[0]
    assert event["changes"]["mask"] == event["noised"].count("[...]")


def test_tries_have_noise_of_their_own() -> None:
    built = stage("reconstruct", rate=0.5)
    context = FakeContext(built, lambda model, call: "It opens at ten.", prompts=PROMPTS)
    _, rejection = outcomes(built, [row(text=ORIGINAL)], context)
    assert isinstance(rejection, Rejection)
    assert rejection.attempts == 3
    assert len({ask.calls[0].messages[-1].content for ask in context.asked}) == 3


@pytest.mark.parametrize(
    ("kind", "length", "reply", "reason"),
    [
        ("expand", {"min": 9}, "On Monday the museum opens its old wooden doors at nine.", ""),
        ("expand", {"min": 9}, "The museum opens at nine.", "too_short"),
        ("compress", {"max": 5}, "Museum opens Monday at nine.", ""),
        ("compress", {"max": 5}, GOOD[0], "too_long"),
    ],
)
def test_a_text_becomes_longer_or_shorter(
    kind: str, length: dict[str, int], reply: str, reason: str
) -> None:
    results = run(stage(kind, length=length, attempts=1), [reply])
    assert reasons(results) == ["", reason]
    if not reason:
        assert results[1].history[-1]["length"]["length"] == len(reply.split())  # type: ignore[union-attr]


def test_a_length_has_to_be_given() -> None:
    with pytest.raises(UsageError, match="say how long"):
        stage("expand")
    job = FakeJob(prompts=PROMPTS, models=["writer"], columns=["text"])
    with pytest.raises(UsageError, match="give the decoding 'n'"):
        stage("compress", length={"max": 9, "candidates": 3}).check(job)


def test_embeddings_are_asked_once_for_all_candidates() -> None:
    built = stage("paraphrase", decoding=BEAMS)
    context = Several(built, prompts=PROMPTS)
    context.replies = GOOD
    outcomes(built, [row(text=ORIGINAL)], context)
    assert context.embedded == [ORIGINAL, *GOOD]
    assert np.allclose((context.embed(GOOD) ** 2).sum(1), 1)
