import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipelines.exporters.markdown import code, details, fence, plain, table
from pipelines.exporters.public import public

PARSER = MarkdownIt("commonmark").enable("table")

CHARACTERS = list("ab `*_|\\<>[]()#!&;~$\n\r\t-+:/=\"'\u2028.1")
PIECES = [
    "\n```\n",
    "`````\n",
    "\n~~~\n",
    "</details>\n\n",
    "</summary>",
    "<!--",
    "\n\n# x\n",
    "&#124;",
]

nasty = st.lists(st.sampled_from(CHARACTERS + PIECES)).map("".join)

HOSTILE = [
    "a|b",
    "a\\|b",
    "<script>alert(1)</script>",
    "</details>",
    "![x](http://e.org/x.png)",
    "[x](y) **b** _i_ `c`",
    "one\ntwo\n\n# three",
    "&lt;b&gt;",
    "$x^2$ ~~gone~~",
    "\\",
]


def texts_of(markdown: str) -> list[tuple[str, str]]:
    """Type and content of every inline token that shows something."""
    return [
        (child.type, child.content)
        for token in PARSER.parse(markdown)
        for child in token.children or []
    ]


def shown(markdown: str) -> str:
    found = texts_of(markdown)
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    return "".join(content for _, content in found)


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_text_shows_itself_in_a_table(text: str) -> None:
    tokens = PARSER.parse(table(("Name", "Count"), [(text, 1), ("x", 2)]))
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 6
    kinds = {child.type for cell in cells for child in cell.children or []}
    assert kinds <= {"text", "text_special"}
    content = "".join(child.content for child in cells[2].children or [])
    assert content == " ".join(text.split())


@given(nasty)
def test_plain_text_never_becomes_markup(text: str) -> None:
    assert shown(f"x {plain(text)} x").split() == ["x", *text.split(), "x"]


@given(nasty)
def test_a_table_never_gains_or_loses_a_cell(text: str) -> None:
    tokens = PARSER.parse(table((text, "b"), [(text, text)]))
    assert [token.type for token in tokens].count("inline") == 4


@given(nasty)
def test_code_shows_itself(text: str) -> None:
    found = [part for part in texts_of(f"x {code(text)} x") if part[0] != "text"]
    assert [kind for kind, _ in found] == ["code_inline"]
    assert found[0][1].split() == text.split()


@given(nasty)
def test_a_fence_holds_its_content_and_ends_after_it(text: str) -> None:
    tokens = PARSER.parse(f"{fence(text, 'json')}\n\nafter")
    assert [token.type for token in tokens][:2] == ["fence", "paragraph_open"]
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert tokens[0].content == (lines if lines.endswith("\n") else f"{lines}\n")


@given(nasty, nasty)
def test_details_end_where_they_end(summary: str, body: str) -> None:
    tokens = PARSER.parse(details(summary, fence(body)) + "\n\nafter")
    kinds = [token.type for token in tokens if token.type != "inline"]
    assert kinds == ["html_block", "fence", "html_block", "paragraph_open", "paragraph_close"]
    assert tokens[0].content.count("<") == len(["<details>", "<summary>", "</summary>"])


def test_columns_of_numbers_are_aligned_to_the_right() -> None:
    assert table(("Stage", "In"), [("a", 1), ("b", 20)]) == (
        "| Stage | In |\n| --- | ---: |\n| a | 1 |\n| b | 20 |"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/ada/corpus", "(local)/corpus"),
        ("/home/ada/docs/**/*.md", "(local)/*.md"),
        ("/home/ada/My Docs/", "(local)/My Docs"),
        ("~/corpus", "(local)/corpus"),
        ("~ada/corpus/a.md", "(local)/a.md"),
        ("C:\\Users\\ada\\a.md", "(local)/a.md"),
        ("\\\\host\\share\\a.md", "(local)/a.md"),
        ("file:///home/ada/a.md", "(local)/a.md"),
        ("http://ada:secret@example.org/x", "http://example.org/x"),
        (
            {"server": "http://10.0.0.5:8000/v1", "n": [1, "/a/b"]},
            {"server": "(server)", "n": [1, "(local)/b"]},
        ),
    ],
)
def test_what_names_a_machine_or_a_user_is_left_out(value: object, expected: object) -> None:
    assert public(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "examples/handbook",
        "https://example.org/a/b",
        "org/model",
        "/",
        "/no_think",
        "~5 words",
        "a /home/x",
        "Write:\n/home/ada/x",
        {"server": ""},
        7,
        None,
        [0.5, True],
    ],
)
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert public(value) == value
