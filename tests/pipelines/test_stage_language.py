import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, outcomes, reasons, row

from chains.text.language import LANGUAGES, evidence, open_language_scores, prose
from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages import STAGES, Language
from prompts.errors import UsageError

ENGLISH = "The museum is closed on Mondays."
GERMAN = "Das Museum ist am Montag geschlossen."
SENTENCES = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": "Le musée est fermé le lundi, sauf les jours fériés.",
    "cs": "Muzeum je v pondělí zavřené, kromě svátků.",
    "es": "El museo está cerrado los lunes y los martes.",
    "ru": "Музей закрыт по понедельникам, кроме праздников.",
    "zh": "博物馆每周一闭馆。",
    "ja": "博物館は月曜日に閉まっています。",
    "ar": "المتحف مغلق يوم الاثنين من كل أسبوع.",
}


SCORES = cache(open_language_scores)


def judged(stage: Language, *texts: str) -> list[Outcome]:
    """What the stage makes of the texts, with a model that is loaded once for all tests."""
    context = FakeContext(stage)
    context.shared("languages", SCORES)
    return outcomes(stage, [row(text=text, id=f"r{i}") for i, text in enumerate(texts)], context)


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_kept_in_its_language_and_no_other(code: str) -> None:
    [kept] = judged(Language(field="text", languages=code, adds="language"), SENTENCES[code])
    assert isinstance(kept, Row)
    assert kept.data["language"] in {code, "yue"}
    others = [other for other in SENTENCES if other not in {code, "ja" if code == "zh" else ""}]
    for other in others:
        results = judged(Language(field="text", languages=other), SENTENCES[code])
        assert reasons(results) == ["other_language"]


def test_the_rejection_says_what_was_found() -> None:
    [result] = judged(Language(field="text", languages=("en", "fr")), GERMAN)
    assert isinstance(result, Rejection)
    score = result.detail["score"]
    assert 0 <= score < 0.01
    expected = {"language": "de", "score": score, "bound": 0.1, "found": GERMAN}
    assert dict(result.detail) == expected


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("Ja!", {}, ""),
        ("Ja!", {"short": "reject"}, "undecided"),
        ("", {"short": "reject"}, "undecided"),
        ("https://beispiel.de/das-ist-eine-lange-adresse", {"short": "reject"}, "undecided"),
        ("Ja, gerne!", {"min_letters": 3}, "other_language"),
        (f"{ENGLISH} {ENGLISH} {GERMAN}", {}, ""),
        (f"{ENGLISH} {ENGLISH} {GERMAN}", {"each": "sentence"}, "other_language"),
        (f"{ENGLISH} Ja!", {"each": "sentence"}, ""),
        (f"{ENGLISH} {GERMAN}", {"each": "sentence", "languages": ["de", "en"]}, ""),
        (f"{ENGLISH}\n```\nwenn(dies) dann das oder jenes und nichts anderes\n```", {}, ""),
    ],
)
def test_short_texts_and_pieces(text: str, settings: dict[str, Any], reason: str) -> None:
    stage = Language.model_validate({"field": "text", "languages": "en", **settings})
    assert reasons(judged(stage, text)) == [reason]


def test_a_short_text_has_no_language_to_add() -> None:
    [kept] = judged(Language(field="text", languages="en", adds="code"), "Ja!")
    assert isinstance(kept, Row)
    assert kept.data["code"] is None


@pytest.mark.parametrize(
    ("languages", "message"),
    [("english", "unknown language 'english'"), ([], "no language"), (["en", "xx"], "'xx'")],
)
def test_unknown_languages_are_refused(languages: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "language", "field": "text", "languages": languages})


def test_the_languages_are_those_of_the_model() -> None:
    scores = SCORES()(ENGLISH)
    assert set(scores) == set(LANGUAGES)
    assert sum(scores.values()) == pytest.approx(1, abs=1e-3)


def test_evidence_counts_letters_of_prose() -> None:
    assert evidence("Ok! See https://example.org") == 5
    assert evidence("博物馆") == 9
    assert prose("a <b>c</b> x@y.org").split() == ["a", "c"]


def test_real_sentences_are_hardly_ever_lost(test_data: Path, tmp_path: Path) -> None:
    with tarfile.open(test_data / "data" / "translation.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    for code, bound in (("de", 0.005), ("fr", 0.01), ("es", 0.02), ("ru", 0.01)):
        [file] = tmp_path.rglob(f"{code}-en.{code}")
        texts = [text for text in file.read_text(encoding="utf-8").split("\n") if text]
        found = reasons(judged(Language(field="text", languages=code), *texts))
        assert found.count("other_language") / len(texts) <= bound
        found = reasons(judged(Language(field="text", languages="en"), *texts))
        assert found.count("other_language") / len(texts) > 0.93
