from typing import Any, get_args

import pytest

from prompts.code_syntax import Language, missing_package, syntax_fault

SOUND = {
    "bash": "for i in 1 2; do echo $i; done",
    "c": "int main(void) { return 0; }",
    "css": "a { color: red }",
    "go": "package main\nfunc main() {}",
    "html": "<ul><li>a<li>b</ul>",
    "java": "class A { int x; }",
    "javascript": "const double = (x) => x * 2;",
    "json": '{"a": [' + "7" * 5000 + "]}",
    "python": "pattern = '\\d'\n",
    "rust": 'fn main() { println!("x"); }',
    "sql": "SELECT a, count(*) FROM t WHERE b > 3 GROUP BY a;",
    "toml": "[a]\nb = 1",
    "typescript": "const x: number = 3;",
    "xml": "<a><b/></a>",
    "yaml": "- a\n- b: 1",
}


def test_every_language_is_tried() -> None:
    assert set(SOUND) == set(get_args(Language))
    assert {language: missing_package(language) for language in SOUND} == dict.fromkeys(SOUND, "")


@pytest.mark.parametrize("language", SOUND)
def test_sound_code_has_no_fault(language: Any) -> None:
    assert syntax_fault(language, SOUND[language]) == ""


@pytest.mark.parametrize(
    ("language", "code", "fault"),
    [
        ("bash", "ls\necho (hi", "line 2: ) is missing"),
        ("c", "int main({", "line 1: invalid syntax"),
        ("css", "Here is your style.", "line 1: invalid syntax"),
        ("go", "package main\nfunc {", "line 2: invalid syntax"),
        ("html", "<p>a</p>\n</b>", "line 2: invalid syntax"),
        ("java", "class {", "line 1: invalid syntax"),
        ("javascript", "let a = 1;\nfunction f( {", "line 2: invalid syntax"),
        ("json", '{"a":\n1 2}', "line 2: Expecting ',' delimiter"),
        ("json", "[" * 100_000, "nested too deeply"),
        ("python", "x = 1\ndef f(:", "line 2: invalid syntax"),
        ("python", "(" * 100_000, "line 1: too many nested parentheses"),
        ("python", "\0", "line 1: source code string cannot contain null bytes"),
        ("rust", "fn main( {", "line 1: invalid syntax"),
        ("sql", "SELEC a FROM t", "line 1: invalid syntax"),
        ("toml", "a = 1\nb = \n", "Invalid value (at line 2, column 5)"),
        ("typescript", "const x: = 3;", "line 1: invalid syntax"),
        ("xml", "<a>\n<b></a>", "line 2: mismatched tag"),
        ("yaml", "a: *x", "line 1: found undefined alias 'x'"),
        ("yaml", "Here is your file.", "line 1: neither a mapping nor a list"),
        ("yaml", "a: \x00", "line 1: "),
    ],
)
def test_the_first_error_is_told_with_its_line(language: Any, code: str, fault: str) -> None:
    found = syntax_fault(language, code)
    assert found.startswith(fault)
    assert fault


def test_an_alias_of_an_alias_stays_small() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)
    )
    assert syntax_fault("yaml", bomb) == ""


def test_a_language_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing_package("rust") == "tree_sitter"
    assert missing_package("python") == ""
