import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lab.worddiff import marked, pieces

TEXTS = st.lists(st.sampled_from(["tea", "is", "hot", "cold", " ", "\n", "  "]), max_size=12).map(
    "".join
)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS)
def test_the_pieces_are_the_two_texts(before: str, after: str) -> None:
    found = pieces(before, after)
    assert "".join(text for sign, text in found if sign != "out") == after
    if before != after:
        assert "".join(text for sign, text in found if sign != "in") == before


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("same", "same", "same"),
        ("", "new", "{+new+}"),
        ("Name the big red town.", "Name the red city.", "Name the [-big -]red [-town.-]{+city.+}"),
        ("one two three four", "one x y four", "one [-two three-]{+x y+} four"),
        ("nothing like it", "a wholly other text", "[-nothing like it-]{+a wholly other text+}"),
    ],
)
def test_differences_stand_in_brackets(before: str, after: str, shown: str) -> None:
    assert marked(before, after) == shown
