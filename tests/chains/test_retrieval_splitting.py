import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chains.models import ModelSpec, open_tokenizer
from chains.retrieval import Span, split_spans, whole
from chains.retrieval.sections import heading_paths, sections
from chains.retrieval.splitting import split_regions
from chains.retrieval.text_splitter import SpanTextSplitter
from chains.text.sentences import sentence_ends

NASTY = [
    "\r\n",
    "\n\n",
    "\u2028",
    "\x85",
    "\x00",
    "\u200d",
    "👩‍👧",
    "שלום",
    "مرحبا",
    "e\u0301",
    "日本。",
    "# h\n",
    "```\n",
]
TEXTS = st.lists(st.sampled_from([*NASTY, "word", "a", " ", ". ", "! "]) | st.text(max_size=5)).map(
    "".join
)


def word_spans(text: str) -> list[Span]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def byte_spans(text: str) -> list[Span]:
    """One token a UTF-8 byte, as a byte-level tokenizer falls back to: spans share characters."""
    return [
        (place, place + 1)
        for place, char in enumerate(text)
        for _ in char.encode("utf-8", "surrogatepass")
    ]


def spaced_spans(text: str) -> list[Span]:
    """Tokens that carry the white space before them, and some that are empty."""
    spans: list[Span] = []
    for match in re.finditer(r"\s*\S+|\s+", text):
        spans += [match.span(), (match.end(), match.end())]
    return spans


def contexts(text: str, tokens: int, overlap: int = 0) -> list[str]:
    spans = split_spans(text, word_spans(text), tokens, overlap)
    return [text[start:end] for start, end in spans]


def held(spans_of_tokens: Sequence[Span], span: Span) -> int:
    return sum(span[0] <= start < span[1] for start, _ in spans_of_tokens)


@pytest.mark.parametrize("tokenize", [word_spans, byte_spans, spaced_spans])
@given(text=TEXTS, tokens=st.integers(4, 12), share=st.integers(0, 2))
@example(text="\n" * 60 + "a", tokens=4, share=2)
@example(text="a b c d e f" + " " * 60, tokens=4, share=2)
def test_spans_cover_everything_but_white_space_within_the_budget(
    tokenize: object, text: str, tokens: int, share: int
) -> None:
    spans_of_tokens = tokenize(text)  # type: ignore[operator]
    overlap = tokens // 2 * share // 2
    spans = split_spans(text, spans_of_tokens, tokens, overlap)
    covered = {place for start, end in spans for place in range(start, end)}
    assert {place for place, char in enumerate(text) if not char.isspace()} <= covered
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert all(held(spans_of_tokens, span) <= tokens for span in spans)
    ends = [end for _, end in spans]
    assert ends == sorted(set(ends)), "every span adds something"
    if not overlap:
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@given(text=TEXTS, tokens=st.integers(4, 12))
def test_spans_share_at_most_the_overlap(text: str, tokens: int) -> None:
    overlap = tokens // 2
    spans_of_tokens = word_spans(text)
    spans = split_spans(text, spans_of_tokens, tokens, overlap)
    for (_, end), (start, _) in pairwise(spans):
        assert start >= end or held(spans_of_tokens, (start, end)) <= overlap


def test_a_short_text_is_one_span_and_no_text_is_none() -> None:
    assert split_spans("  one two \n", word_spans("  one two \n"), 8) == [(2, 9)]
    assert whole("  one two \n") == [(2, 9)]
    for empty in ("", " \n\u2028\x85\t "):
        assert split_spans(empty, word_spans(empty), 8) == []
        assert whole(empty) == []


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("A b c d.\n\nE f g h i j k.", 10, ["A b c d.", "E f g h i j k."]),  # paragraph
        ("A b c d. E f g h i j k", 9, ["A b c d.", "E f g h i j k"]),  # sentence
        ("A b c d\nE f g h i j k", 8, ["A b c d", "E f g h i j k"]),  # line
        ("A b c d e f g h", 5, ["A b c d e", "f g h"]),  # word
        ("他来了。我走了很远", 8, ["他来了。", "我走了很远"]),  # a sentence without a space
        ("A b.\n\nC d e f g h i j k", 8, ["A b.\n\nC d e f g", "h i j k"]),  # less than half full
    ],
)
def test_the_best_place_in_the_fuller_half_is_taken(
    text: str, tokens: int, expected: list[str]
) -> None:
    if "他" in text:
        spans = split_spans(text, [(i, i + 1) for i in range(len(text))], tokens)
        assert [text[start:end] for start, end in spans] == expected
    else:
        assert contexts(text, tokens) == expected


@pytest.mark.parametrize(
    "text",
    [
        "A b c d e.g. f g h i j k l",  # an abbreviation before a small letter
        "A b c J. Doe f g h i j k l",  # an initial
        "A b c d\n1. F g h i j k l m",  # a list's number
    ],
)
def test_a_full_stop_that_ends_no_sentence_is_no_place_to_cut(text: str) -> None:
    first = contexts(text, 9)[0]
    assert not first.endswith((".", "1"))


def test_a_heading_stays_with_what_it_stands_over() -> None:
    text = "One two three. Four.\n\n## Leave\n\nFive six seven eight nine ten.\n"
    assert contexts(text, 9) == [
        "One two three. Four.",
        "## Leave\n\nFive six seven eight nine",
        "ten.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# One two three four five\n\nsix seven eight nine | ten eleven",
        "# One two\n\n## Three\n\nfour five six seven | eight",
    ],
)
def test_a_heading_does_not_end_a_span(text: str) -> None:
    first, rest = text.split(" | ")
    assert contexts(f"{first} {rest}", 10) == [first, rest]


def test_nothing_stands_before_a_heading_in_its_span() -> None:
    text = "# A\n\none two three four. five six.\n\n# B\n\nseven eight nine ten.\n"
    assert contexts(text, 12, overlap=5) == [
        "# A\n\none two three four. five six.",
        "# B\n\nseven eight nine ten.",
    ]


def test_a_comment_in_fenced_code_is_no_heading() -> None:
    text = "Code:\n```\n# set up\nrun the thing\n```\n"
    code = contexts(text, 9)
    assert not any(part.startswith("# set up") for part in code)


def test_overlap_begins_with_a_sentence_where_one_fits() -> None:
    text = "A b c d e. F g. H i j k l m n o p q."
    first, second, _ = contexts(text, 10, overlap=5)
    assert first == "A b c d e. F g."
    assert second.startswith("F g. H i j")


def test_a_joined_emoji_is_cut_last_of_all() -> None:
    text = "👩\u200d👧" * 4
    parts = split_spans(text, [(i, i + 1) for i in range(len(text))], 4)
    assert [text[start:end] for start, end in parts] == ["👩\u200d👧"] * 4


def test_the_overlap_gives_way_to_what_would_not_fit_behind_it() -> None:
    spans = split_spans("aa b 👩", byte_spans("aa b 👩"), 4, 2)
    assert [held(byte_spans("aa b 👩"), span) for span in spans] == [4, 4]
    assert spans == [(0, 4), (5, 6)]


def test_a_token_that_reaches_over_others_is_not_cut() -> None:
    assert split_spans("abcdef", [(0, 5), (1, 2), (3, 4), (5, 6)], 2) == [(0, 5), (5, 6)]
    assert split_spans("abcdef", [(0, 0), (0, 3), (3, 3), (3, 6)], 2) == [(0, 3), (3, 6)]


def test_a_character_of_more_tokens_than_the_budget_stands_alone() -> None:
    assert split_spans("a👩b", byte_spans("a👩b"), 2) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(("tokens", "overlap"), [(0, 0), (4, 3), (4, -1)])
def test_impossible_settings_are_refused(tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        split_spans("a", [(0, 1)], tokens, overlap)


def test_as_a_langchain_text_splitter_it_tells_where_chunks_stand() -> None:
    splitter = SpanTextSplitter(word_spans, tokens=5, overlap=0)
    text = "A b c. D e f. G."
    assert splitter.split_text(text) == ["A b c.", "D e f.", "G."]
    documents = splitter.create_documents([text], [{"source": "x.md"}])
    assert [d.metadata for d in documents] == [
        {"source": "x.md", "start": 0, "end": 6},
        {"source": "x.md", "start": 7, "end": 13},
        {"source": "x.md", "start": 14, "end": 16},
    ]
    assert splitter.split_documents(documents)[2].page_content == "G."


def test_a_real_tokenizer_s_tokens_are_counted() -> None:
    tokenizer = open_tokenizer(ModelSpec(model="embedded"))
    text = "".join(NASTY) * 9 + "# Leave\n\nTwenty days a year, for everyone. Ask early.\n\n" * 9
    spans_of_tokens = tokenizer.spans(text)
    spans = split_spans(text, spans_of_tokens, 24, 6)
    covered = {place for start, end in spans for place in range(start, end)}
    assert {place for place, char in enumerate(text) if not char.isspace()} <= covered
    assert max(held(spans_of_tokens, span) for span in spans) <= 24
    assert max(tokenizer.count(text[start:end]) for start, end in spans) <= 24 + 2
    assert text[slice(*spans[-1])] == "# Leave\n\nTwenty days a year, for everyone. Ask early."


def uncovered(text: str, spans: Sequence[Span]) -> set[int]:
    covered = {place for start, end in spans for place in range(start, end)}
    return {place for place, char in enumerate(text) if not char.isspace()} - covered


@pytest.mark.parametrize("tokenize", [word_spans, byte_spans, spaced_spans])
@given(text=TEXTS, tokens=st.integers(4, 12), share=st.integers(0, 2))
def test_whole_sentences_cover_everything_within_the_budget(
    tokenize: object, text: str, tokens: int, share: int
) -> None:
    spans_of_tokens = tokenize(text)  # type: ignore[operator]
    spans = split_spans(text, spans_of_tokens, tokens, tokens // 2 * share // 2, sentences=True)
    assert uncovered(text, spans) == set()
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert all(held(spans_of_tokens, span) <= tokens for span in spans)


@pytest.mark.parametrize("tokenize", [word_spans, byte_spans, spaced_spans])
@given(text=TEXTS, tokens=st.integers(4, 12), data=st.data())
def test_regions_cover_everything_and_no_span_leaves_its_region(
    tokenize: object, text: str, tokens: int, data: st.DataObject
) -> None:
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    regions = list(zip(places[::2], places[1::2], strict=False))  # with gaps between them
    spans_of_tokens = tokenize(text)  # type: ignore[operator]
    spans = split_regions(text, regions, spans_of_tokens, tokens, tokens // 4)
    assert uncovered(text, spans) == set()
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)
    assert all(held(spans_of_tokens, span) <= tokens for span in spans)
    for start, end in spans:
        assert not any(start < border < end for border in places[: len(places) // 2 * 2])


@given(text=TEXTS)
def test_sections_cover_every_text(text: str) -> None:
    found = sections(text)
    assert "".join(text[start:end] for start, end in found) == text


def test_sentences_are_packed_and_never_cut_where_they_fit() -> None:
    text = "A b c. D e f g.\n\nH i, Dr. Ruiz j. K l m n o p q r s t u v w x. Y z."
    spans = split_spans(text, word_spans(text), 11, sentences=True)
    assert [text[start:end] for start, end in spans] == [
        "A b c. D e f g.",
        "H i, Dr. Ruiz j.",
        "K l m n o p q r s t u",  # longer than the budget
        "v w x. Y z.",
    ]
    assert {end for _, end in spans} - {*sentence_ends(text)} == {spans[2][1]}


def test_sentences_overlap_by_whole_sentences() -> None:
    text = "A b c d e. F g. H i j k l. M n o p q r s t u v."
    found = split_spans(text, word_spans(text), 11, 5, sentences=True)
    assert [text[start:end] for start, end in found][:2] == ["A b c d e. F g.", "F g. H i j k l."]
    assert text[slice(*found[2])] == "M n o p q r s t u v."


BOOK = """Before.

# Leave

## Holidays ##

Twenty days.

## Sick days

Call before nine.

```
# no heading
```

# Pay
"""


def test_sections_begin_with_their_headings() -> None:
    assert [BOOK[start:end].strip() for start, end in sections(BOOK)] == [
        "Before.",
        "# Leave\n\n## Holidays ##\n\nTwenty days.",
        "## Sick days\n\nCall before nine.\n\n```\n# no heading\n```",
        "# Pay",
    ]
    assert sections("") == []


def test_a_section_that_is_too_large_is_cut_by_tokens() -> None:
    text = "# A\n\nB c.\n\n# D\n\nE f g h. I j k l m n.\n"
    spans = split_regions(text, sections(text), word_spans(text), 9, 0)
    assert [text[start:end] for start, end in spans] == [
        "# A\n\nB c.",
        "# D\n\nE f g h.",
        "I j k l m n.",
    ]


def test_headings_above_a_place() -> None:
    places = [
        BOOK.index(found) for found in ("Before", "# Leave", "Twenty", "nine", "no h", "# Pay")
    ]
    assert heading_paths(BOOK, places) == [
        [],
        ["Leave"],
        ["Leave", "Holidays"],
        ["Leave", "Sick days"],
        ["Leave", "Sick days"],
        ["Pay"],
    ]
    assert heading_paths("### C\n\nx\n\n#\tA #1\n\ny", [7, 15]) == [["C"], ["A #1"]]
