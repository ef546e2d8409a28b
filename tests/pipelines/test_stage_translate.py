import re

import numpy as np
import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import prompt_text

from chains.calls import Call, Reply
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Translate
from pipelines.stages.augment.structure import digits, lines, lost, pieces
from prompts.errors import UsageError

PROMPTS = {
    "translate/forward": prompt_text("Into {{ language }}: {{ text }}", ["text", "language"]),
    "translate/back": prompt_text("From {{ language }}: {{ text }}", ["text", "language"]),
}
WORDS = {"A": "Un", "man": "homme", "dog": "chien", "sees": "voit", "Open": "Ouvre", "now": "vite",
         "Hello": "Bonjour", "the": "le", "file": "fichier"}  # fmt: skip
BACK = {after: before for before, after in WORDS.items()}


def translate(**settings: object) -> Translate:
    given = {"name": "tr", "fields": ["text"], "model": "en_fr", **settings}
    return Translate.model_validate(given)


def word_by_word(model: str, call: Call) -> str:
    """A translator that knows nine words and spoils placeholders."""
    known = WORDS if model == "en_fr" else BACK
    text = call.messages[-1].content.replace("{", "(").replace("}", ")")
    return re.sub(r"\w+", lambda found: known.get(found[0], found[0]), text)


def run(stage: Translate, **columns: object) -> list[Outcome]:
    return outcomes(stage, [row(id="r5", family="f", **columns)], FakeContext(stage, word_by_word))


def test_a_copy_in_the_other_language_joins_the_family() -> None:
    stage = translate(adds="language", source="en", target="fr")
    original, copy = run(stage, text="A man sees the dog.", n=3)
    assert isinstance(original, Row)
    assert isinstance(copy, Row)
    assert original.data == {"text": "A man sees the dog.", "n": 3, "language": "en"}
    assert copy.data == {"text": "Un homme voit le chien.", "n": 3, "language": "fr"}
    assert (copy.family, copy.order) == ("f", (5, 1))
    [event] = copy.history
    assert (event["operation"], event["parent"], event["models"]) == (
        "translate",
        "r5",
        ["en_fr@fake"],
    )


def test_structure_stays_and_only_words_reach_the_model() -> None:
    text = "# Hello\n\n- A man\n  2. A dog  \n\n> sees\n42\n"
    stage = translate(keep_original=False)
    context = FakeContext(stage, word_by_word)
    [copy] = outcomes(stage, [row(text=text)], context)
    assert isinstance(copy, Row)
    assert copy.data["text"] == "# Bonjour\n\n- Un homme\n  2. Un chien  \n\n> voit\n42\n"
    said = [call.messages[-1].content for call in context.asked[0].calls]
    assert said == ["Hello", "A man", "A dog", "sees"]


def test_lists_and_objects_are_translated_inside() -> None:
    stage = translate(fields=["text", "answers"], keep_original=False)
    answers = [{"text": "A dog", "score": 1}, "A man", None]
    [copy] = run(stage, text="Hello", answers=answers)
    assert isinstance(copy, Row)
    assert copy.data["answers"] == [{"text": "Un chien", "score": 1}, "Un homme", None]
    assert answers[0] == {"text": "A dog", "score": 1}


def test_a_line_that_loses_a_placeholder_is_translated_in_pieces() -> None:
    [copy] = run(translate(keep_original=False), text="Open {name} the file now.")
    assert isinstance(copy, Row)
    assert copy.data["text"] == "Ouvre {name} le fichier vite."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Un homme a 4 chiens ici.", "numbers_changed"),
        ("A man has 3 dogs here.", "not_translated"),
        ("", "empty_translation"),
        (Reply("Un homme", "length"), "cut_at_max_tokens"),
        (Reply("", "error", error="context_overflow: 900 tokens"), "context_overflow"),
        ("Un <b>homme</b> a 3 chiens.", "markup_changed"),
    ],
)
def test_what_cannot_be_taken_is_refused(reply: str | Reply, reason: str) -> None:
    stage = translate()
    context = FakeContext(stage, lambda model, call: reply)
    results = outcomes(stage, [row(text="A man has 3 dogs here.")], context)
    assert reasons(results) == ["", reason]
    assert isinstance(results[1], Rejection)
    assert results[1].detail["text"] == "text"


def test_the_way_back_has_to_mean_the_same() -> None:
    stage = translate(back="fr_en")
    good = run(stage, text="A man sees the dog.")
    assert reasons(good) == ["", ""]
    assert good[1].history[-1]["round_trip"] == {"text": 1.0}  # type: ignore[union-attr]
    strange = FakeContext(
        stage,
        lambda model, call: "Rien du tout ici." if model == "en_fr" else "Nothing at all.",
        cosine=0.4,
    )
    results = outcomes(stage, [row(text="A man sees the dog.")], strange)
    assert reasons(results) == ["", "meaning_changed"]
    assert isinstance(results[1], Rejection)
    assert results[1].detail == {
        "text": "text", "similarity": 0.4, "least": 0.75, "back": "Nothing at all."
    }  # fmt: skip


def test_a_chat_model_is_asked_by_prompts() -> None:
    stage = translate(model="writer", back="writer", language="German")
    replies = iter(["Translation: Ein Mann.", "Sure! Here it is:\nA man."])
    context = FakeContext(stage, lambda model, call: next(replies), prompts=PROMPTS)
    _, copy = outcomes(stage, [row(text="A man.")], context)
    assert isinstance(copy, Row)
    assert copy.data["text"] == "Ein Mann."
    said = [ask.calls[0].messages[-1].content for ask in context.asked]
    assert said == ["Into German: A man.", "From German: Ein Mann."]


@pytest.mark.parametrize("text", ["", "  \n", "42", "{x}", "https://a.org/b"])
def test_a_text_without_words_stays_as_it_is(text: str) -> None:
    stage = translate(back="fr_en", keep_original=False)
    context = FakeContext(stage, word_by_word)
    [copy] = outcomes(stage, [row(text=text)], context)
    assert isinstance(copy, Row)
    assert copy.data["text"] == text
    assert context.asked == []


def test_a_row_without_the_column_is_rejected() -> None:
    assert reasons(run(translate(), other="A man")) == ["missing_column"]


def test_settings_are_checked_beforehand() -> None:
    with pytest.raises(UsageError, match="go together"):
        STAGES.build({"kind": "translate", "fields": ["a"], "model": "m", "adds": "language"})
    job = FakeJob(prompts=PROMPTS, models=["writer"], columns=["text"])
    translate(model="writer", language="German", back="writer").check(job)
    with pytest.raises(UsageError, match="back: unknown model 'none'"):
        translate(model="writer", back="none").check(job)
    toned = {**PROMPTS, "toned": prompt_text("{{ text }} {{ tone }}", ["text", "tone"])}
    wide = FakeJob(prompts=toned, models=["writer"], columns=["text", "tone"])
    with pytest.raises(UsageError, match="wants 'tone' too"):
        translate(model="writer", language="German", prompt="toned").check(wide)


ALPHABET = ["a", "B", " ", "\n", "- ", "1. ", "# ", "{x}", "`c`", "\t", ".", "<b>", "3", "•"]


@pytest.mark.parametrize("seed", range(50))
def test_lines_and_pieces_put_together_are_the_text(seed: int) -> None:
    draw = np.random.default_rng(seed)
    text = "".join(draw.choice(ALPHABET, size=20))
    assert "\n".join("".join(line) for line in lines(text)) == text
    assert "".join(pieces(text)) == text
    assert lost(text, text) == ()
    assert digits(text) == digits(text.replace("a", "é"))


def test_numbers_in_words_are_another_language() -> None:
    assert digits("two dogs and 1,200 cats") == digits(
        "deux chiens et 1 200 chats".replace(" 2", "2")
    )
    assert lost("Mail a@b.org {n}", "Mail a@b.org") == ("{n}",)
