import json

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import prompt_text

from chains.calls import Call, Reply
from chains.decoding import Beam, Greedy, Sample
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Paraphrase
from pipelines.stages.augment.gates import Gates
from prompts.errors import UsageError

ORIGINAL = "The museum opens at nine on Monday."
PROMPTS = {
    "rewrite/paraphrase": prompt_text("Say in other words: {{ text }}", ["text"]),
    "labelled": prompt_text("As {{ tone }} text: {{ text }}", ["text", "tone"]),
    "blind": prompt_text("Say {{ topic }}", ["topic"]),
    "listed": prompt_text("Say {{ text }}", ["text"], output="lines"),
}
GOOD = [
    "On Mondays the museum opens its doors at nine.",
    "Nine is when the museum opens each Monday.",
    "Every Monday, visitors may come to the museum from nine.",
]


def paraphrase(**settings: object) -> Paraphrase:
    return Paraphrase.model_validate(
        {"name": "say", "field": "text", "model": "writer", **settings}
    )


def run(stage: Paraphrase, replies: list[str | Reply], cosine: float = 0.9) -> list[Outcome]:
    """What becomes of one row when the model gives these replies, one after the other."""
    rest = iter(replies)
    context = FakeContext(stage, lambda model, call: next(rest), prompts=PROMPTS, cosine=cosine)
    return outcomes(stage, [row(id="r5", family="f", text=ORIGINAL, label="m")], context)


def test_the_original_stays_and_a_variant_joins_its_family() -> None:
    original, variant = run(paraphrase(), [GOOD[0]])
    before = row(id="r5", family="f", text=ORIGINAL, label="m")
    assert original == before.child("say", 0)
    assert isinstance(variant, Row)
    assert variant.id == before.child("say", 1).id
    assert variant.order == (5, 1)
    assert variant.family == "f"
    assert variant.data == {"text": GOOD[0], "label": "m"}
    [event] = variant.history
    stage, context = paraphrase(), FakeContext(paraphrase(), prompts=PROMPTS)
    assert event == {
        "stage": "say",
        "operation": "paraphrase",
        "parent": "r5",
        "attempt": 0,
        "prompt": context.prompt("rewrite/paraphrase").label,
        "model": "writer@fake",
        "strategy": "sample",
        "seed": context.seed(before),
        **stage.gates.scores(ORIGINAL, GOOD[0], 0.9),
    }
    json.dumps(event, allow_nan=False)


def test_without_the_original_the_first_variant_takes_its_place() -> None:
    results = run(paraphrase(keep_original=False, variants=2), [*GOOD[:2]])
    assert [r.data["text"] for r in results if isinstance(r, Row)] == GOOD[:2]
    assert [r.id == "r5" for r in results if isinstance(r, Row)] == [True, False]
    assert [r.order for r in results if isinstance(r, Row)] == [(5, 0), (5, 1)]


def test_every_variant_has_seeds_of_its_own() -> None:
    before, stage = row(id="r5", text=ORIGINAL), paraphrase(variants=2)
    context = FakeContext(stage)
    _, *variants = run(stage, [*GOOD[:2]])
    found = [variant.history[-1]["seed"] for variant in variants if isinstance(variant, Row)]
    assert found == [context.seed(before, 0, 0), context.seed(before, 0, 1)]
    assert found[0] != found[1]


def test_a_row_without_any_variant_is_rejected_under_its_own_id() -> None:
    [rejection] = run(paraphrase(keep_original=False, attempts=2), [ORIGINAL, ORIGINAL])
    assert isinstance(rejection, Rejection)
    assert (rejection.row.id, rejection.reason, rejection.attempts) == ("r5", "identical", 2)


def test_a_refused_candidate_is_tried_again_with_another_seed() -> None:
    stage = paraphrase()
    rest = iter([ORIGINAL, "It opens at ten.", GOOD[0]])
    context = FakeContext(stage, lambda model, call: next(rest), prompts=PROMPTS)
    before = row(text=ORIGINAL)
    _, variant = outcomes(stage, [before], context)
    assert isinstance(variant, Row)
    assert variant.history[-1]["attempt"] == 2
    seeds = [call.seed for ask in context.asked for call in ask.calls]
    assert seeds == [context.seed(before, attempt) for attempt in range(3)]
    assert len(set(seeds)) == 3


def test_a_failed_variant_says_what_the_last_try_gave() -> None:
    replies: list[str | Reply] = ["It opens.", "**It opens at ten on Monday.**"]
    original, rejection = run(paraphrase(attempts=2), replies)
    assert isinstance(original, Row)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "numbers_changed"
    assert rejection.detail == {"missing": ["9"], "added": ["10"]}
    assert rejection.attempts == 2
    assert rejection.row.data["text"] == "It opens at ten on Monday."
    assert rejection.row.history[-1]["attempt"] == 1
    assert rejection.row.id != "r5"


def test_a_changed_meaning_is_refused_with_its_cosine() -> None:
    _, rejection = run(paraphrase(attempts=1), [GOOD[0]], cosine=0.5)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "meaning_changed"
    assert rejection.detail == {"similarity": 0.5, "least": 0.85}
    assert rejection.row.history[-1]["similarity"] == 0.5


def test_no_variant_is_given_out_twice() -> None:
    replies = [GOOD[0], GOOD[0].upper(), GOOD[1], GOOD[1], GOOD[0]]
    results = run(paraphrase(variants=3, attempts=2), [*replies])
    assert reasons(results) == ["", "", "", "repeated"]


def test_more_variants_leave_the_first_ones_alone() -> None:
    def script(model: str, call: Call) -> str:
        return GOOD[call.seed % 3]

    def variants(count: int) -> list[Outcome]:
        stage = paraphrase(variants=count, attempts=9)
        context = FakeContext(stage, script, prompts=PROMPTS)
        return outcomes(stage, [row(text=ORIGINAL)], context)

    assert variants(3)[:2] == variants(1)
    assert variants(3)[:3] == variants(2)


def test_a_block_is_asked_in_one_batch_a_round() -> None:
    stage = paraphrase()
    texts = iter([GOOD[0], ORIGINAL, GOOD[0], GOOD[1]])
    context = FakeContext(stage, lambda model, call: next(texts), prompts=PROMPTS)
    results = outcomes(stage, [row(id=f"r{i}", text=ORIGINAL) for i in range(3)], context)
    assert reasons(results) == [""] * 6
    assert [len(ask.calls) for ask in context.asked] == [3, 1]


@pytest.mark.parametrize(
    ("reply", "reason", "attempts"),
    [
        ("", "empty", 3),
        ('"', "empty", 3),
        ("The museum will open its", "unfinished", 3),
        (Reply("The museum opens. It", "length"), "cut_at_max_tokens", 3),
        (Reply("", "error", error="out_of_memory: at batch 1"), "out_of_memory", 3),
        (Reply("", "error", error="context_overflow: 900 tokens"), "context_overflow", 1),
    ],
)
def test_unusable_replies_are_faults(reply: str | Reply, reason: str, attempts: int) -> None:
    _, rejection = run(paraphrase(), [reply] * 3)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.attempts) == (reason, attempts)


def test_replies_are_cleaned_but_a_heading_keeps_its_open_end() -> None:
    rest = iter(['Sure! Here is the rewritten text:\n"Power from sun and wind"'])
    stage = paraphrase(gates={"similarity": None, "difference": 0})
    context = FakeContext(stage, lambda model, call: next(rest), prompts=PROMPTS)
    _, variant = outcomes(stage, [row(text="Energy of wind and sun")], context)
    assert isinstance(variant, Row)
    assert variant.data["text"] == "Power from sun and wind"
    assert context.embedded == []
    assert "similarity" not in variant.history[-1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "missing_column"), ({"text": 3}, "not_text"), ({"text": " \n"}, "empty")],
)
def test_rows_without_text_are_rejected(data: dict[str, object], reason: str) -> None:
    stage = paraphrase()
    assert reasons(outcomes(stage, [row(data)], FakeContext(stage, prompts=PROMPTS))) == [reason]


def test_other_variables_of_the_prompt_are_columns() -> None:
    stage = paraphrase(prompt="labelled")
    context = FakeContext(stage, lambda model, call: GOOD[0], prompts=PROMPTS)
    outcomes(stage, [row(text=ORIGINAL, tone="stern")], context)
    assert context.asked[0].calls[0].messages[-1].content == f"As stern text: {ORIGINAL}"
    stage.check(FakeJob(prompts=PROMPTS, models=["writer"], columns=["text", "tone"]))
    with pytest.raises(UsageError, match="missing column tone"):
        stage.check(FakeJob(prompts=PROMPTS, models=["writer"], columns=["text"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "reader"}, "model: unknown model 'reader'"),
        ({"prompt": "none"}, "prompt: unknown prompt 'none'"),
        ({"prompt": "blind"}, "prompt: prompt 'blind' has no variable 'text'"),
        ({"prompt": "listed"}, "answers with lines, not text"),
    ],
)
def test_model_and_prompt_are_checked_beforehand(settings: dict[str, object], message: str) -> None:
    job = FakeJob(prompts=PROMPTS, models=["writer"], columns=["text"])
    paraphrase().check(job)
    with pytest.raises(UsageError, match=message):
        paraphrase(**settings).check(job)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoding": {"strategy": "greedy"}, "variants": 2}, "need a decoding that samples"),
        ({"variants": 0}, "greater than or equal to 1"),
        ({"attempts": 0}, "greater than or equal to 1"),
        ({"field": ""}, "at least 1 character"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    stage = {"kind": "paraphrase", "field": "text", "model": "writer", **settings}
    with pytest.raises(UsageError, match=message):
        STAGES.build(stage, key="stages.0")


@pytest.mark.parametrize("decoding", [Greedy(), Beam()])
def test_a_deterministic_decoding_is_asked_once_and_has_no_seed(decoding: Greedy | Beam) -> None:
    _, rejection = run(paraphrase(decoding=decoding.model_dump()), [ORIGINAL])
    assert isinstance(rejection, Rejection)
    assert rejection.attempts == 1
    assert "seed" not in rejection.row.history[-1]


def test_settings_survive_being_written_out() -> None:
    stage = paraphrase(gates={"difference": 0.3}, decoding={"strategy": "beam"})
    assert STAGES.build(stage.model_dump(mode="json")) == stage
    assert stage.gates == Gates(difference=0.3)
    assert isinstance(stage.decoding, Beam)
    assert isinstance(paraphrase().decoding, Sample)
