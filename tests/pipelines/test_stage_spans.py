"""`spans`: exact places of given or tagged entities, BIO tags, names that nobody gave."""

from itertools import pairwise
from typing import Any

import pytest
from fakes import outcomes, row
from hypothesis import given
from hypothesis import strategies as st

from pipelines.rows import Rejection, Row
from pipelines.stages import Spans
from pipelines.stages.shapes.spans import Span, bio, placed, untagged
from prompts.errors import UsageError

GIVEN = {"PER": "person", "LOC": ("city", "country")}


def found(data: dict[str, object], **settings: Any) -> Row | Rejection:
    [outcome] = outcomes(Spans(name="s", field="text", **settings), [row(data)])
    return outcome


def test_given_values_get_exact_offsets_and_tags() -> None:
    data = {"text": "Ada Lo left Oslo, not Ada.", "person": ["Ada Lo", "Ada"], "city": "Oslo"}
    kept = found(
        {**data, "country": ""}, entities=GIVEN, stray="reject", tokens="tokens", tags="tags"
    )
    assert isinstance(kept, Row)
    assert kept.data["spans"] == [
        {"start": 0, "end": 6, "label": "PER", "text": "Ada Lo"},
        {"start": 12, "end": 16, "label": "LOC", "text": "Oslo"},
        {"start": 22, "end": 25, "label": "PER", "text": "Ada"},
    ]
    assert kept.data["tokens"] == ["Ada", "Lo", "left", "Oslo", ",", "not", "Ada", "."]
    assert kept.data["tags"] == ["B-PER", "I-PER", "O", "B-LOC", "O", "O", "B-PER", "O"]


def test_tags_in_the_text_are_taken_out_and_become_spans() -> None:
    kept = found({"text": "In <LOC>New York</LOC>, [ Ada](PER) waited."})
    assert isinstance(kept, Row)
    assert kept.data["text"] == "In New York,  Ada waited."
    text = kept.data["text"]
    for span in kept.data["spans"]:
        assert text[span["start"] : span["end"]] == span["text"]
    assert [span["text"] for span in kept.data["spans"]] == ["New York", "Ada"]


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("Ada left.", {"entities": GIVEN}, "entity_missing"),
        ("Adam left Oslo in Norway.", {"entities": GIVEN}, "entity_missing"),
        ("Ada met Bo in Oslo, Norway.", {"entities": GIVEN, "stray": "reject"}, "stray_name"),
        ("Ada left.", {}, "no_span"),
        ("<PER>Ada left.", {}, "bad_tag"),
        ("<PER>Ada</LOC> left.", {}, "bad_tag"),
        ("[ ](PER) left.", {}, "bad_tag"),
        ("[Ada](PER) left [Oslo].", {}, "bad_tag"),
        ("<ORG>Ada</ORG> left.", {"labels": ("PER",)}, "unknown_label"),
        (None, {}, "not_text"),
    ],
)
def test_a_text_without_what_it_has_to_have_is_rejected(
    text: object, settings: dict[str, Any], reason: str
) -> None:
    data = {"text": text, "person": "Ada", "city": "Oslo", "country": "Norway"}
    outcome = found(data, **settings)
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason


def test_names_that_begin_a_sentence_days_and_common_words_are_no_strays() -> None:
    text = "Rain fell. On Friday Ada, a Swede, said she and I left Oslo for Norway."
    data = {"text": text, "person": "Ada", "city": "Oslo", "country": "Norway"}
    assert isinstance(found(data, entities=GIVEN, stray="reject", common=("Swede",)), Row)
    outcome = found(data, entities=GIVEN, stray="reject")
    assert isinstance(outcome, Rejection)
    assert outcome.detail == {"found": ["Swede"]}


def test_one_value_with_two_labels_is_rejected() -> None:
    data = {"text": "Ada.", "person": "Ada", "city": "Ada", "country": []}
    outcome = found(data, entities=GIVEN)
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "two_labels"


WORDS = st.sampled_from(["Ada", "Oslo", "Ada Lo", "New-York", "the", "of", "a.b", ", "])


@given(st.lists(WORDS, min_size=1, max_size=12), st.sets(WORDS, min_size=1, max_size=3))
def test_spans_hold_their_values_and_never_overlap(pieces: list[str], wanted: set[str]) -> None:
    text = " ".join(pieces)
    values = [(value.strip(), "X") for value in sorted(wanted) if value.strip(", ")]
    result = placed(text, values)
    if not isinstance(result, tuple):
        assert result.reason == "entity_missing"
        return
    spans = result[1]
    assert {text[s.start : s.end] for s in spans} == {value for value, _ in values}
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert [tag for _, tag in bio(text, spans)].count("B-X") == len(spans)
    assert "".join(t for t, _ in bio(text, spans)) == "".join(text.split())


@given(st.lists(st.tuples(st.text("abc ", max_size=5), st.text("xyz", min_size=1, max_size=4))))
def test_taking_tags_out_gives_the_text_that_they_were_put_into(
    pieces: list[tuple[str, str]],
) -> None:
    tagged = "".join(f"{before}<T>{value}</T>" for before, value in pieces)
    plain = "".join(before + value for before, value in pieces)
    result = untagged(tagged)
    assert isinstance(result, tuple)
    assert result[0] == plain
    assert [plain[s.start : s.end] for s in result[1]] == [value for _, value in pieces]
    assert all(isinstance(span, Span) for span in result[1])


@pytest.mark.parametrize(
    "settings", [{"tokens": "tokens"}, {"entities": {"PER": "person"}, "labels": ("PER",)}]
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Spans(field="text", **settings)
