import pytest

from pipelines.names import kept, names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("In Oslo, Maria Weber of the UN met her.", {"oslo", "maria", "weber", "un"}),
        ("The dog barks. A cat sleeps.", set()),
        ("Yesterday I met O'Brien's wife.", {"o'brien"}),
        ('He said: "Come to Rome." Then he left.', {"rome"}),
        ("iPhone prices fell, and NASA saw it.", {"iphone", "nasa"}),
        ("NASA saw it.", {"nasa"}),
        ("Man Bites Dog In Small Village Near Big City", set()),
        ("", set()),
    ],
)
def test_names_are_words_with_a_capital_that_no_sentence_begins_with(
    text: str, found: set[str]
) -> None:
    assert names(text) == found


@pytest.mark.parametrize(
    ("original", "variant", "missing", "added"),
    [
        ("Maria flew to Oslo.", "To Oslo flew Maria.", (), ()),
        ("A Boston Terrier runs.", "A green dog runs.", ("boston", "terrier"), ()),
        ("The German team won.", "The team from Germany won.", (), ()),
        ("He saw Lee.", "He saw Leander.", ("lee",), ("leander",)),
        ("A man left the U.S. today.", "A man left the US today.", (), ()),
        ("A man left.", "A man called Bob left.", (), ("bob",)),
        ("It was Mary's dog.", "The dog was of Mary.", (), ()),
    ],
)
def test_names_are_kept_wherever_they_stand(
    original: str, variant: str, missing: tuple[str, ...], added: tuple[str, ...]
) -> None:
    assert kept(original, variant) == (missing, added)
