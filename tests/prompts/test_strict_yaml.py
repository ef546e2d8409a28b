import os
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prompts.errors import UsageError
from prompts.strict_yaml import MAX_BYTES, MAX_DEPTH, read_yaml, read_yaml_file

JOB = """\
name: demo
stages:
  - {kind: dedup, threshold: 0.8}
  - kind: generate
    decoding:
      temperature: 1
prompts:
  mine: |

    first
    second
"""


def error_of(text: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        read_yaml(text, file="job.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_reads_plain_data() -> None:
    text = 'a: 1\nb: [x, -2, .5, 1.0e-5, true, ~, "1.10", \'no\', {c: ""}]\nd:\n'
    data = read_yaml(text, file="job.yaml").data
    assert data == {
        "a": 1,
        "b": ["x", -2, 0.5, 1e-5, True, None, "1.10", "no", {"c": ""}],
        "d": None,
    }


@pytest.mark.parametrize("text", ["0.8", "[]", "a b", "null", "--- 3"])
def test_reads_a_value_that_is_no_mapping(text: str) -> None:
    assert read_yaml(text, file="--set x").data == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 1),
        ("stages", 2),
        ("stages.0", 3),
        ("stages.0.threshold", 3),
        ("stages.1", 4),
        ("stages.1.decoding.temperature", 6),
        ("stages.1.decoding.top_p", 5),
        ("stages.1.prompt", 4),
        ("stages.7.kind", 2),
        ("rows", None),
        ("", None),
    ],
)
def test_line_of_a_key_or_of_the_nearest_one_around_it(key: str, line: int | None) -> None:
    assert read_yaml(JOB, file="job.yaml").line(key) == line


def test_line_within_a_literal_block_is_that_of_the_file() -> None:
    document = read_yaml(JOB, file="job.yaml")
    text = document.data["prompts"]["mine"]
    place = text.split("\n").index("second") + 1
    assert JOB.split("\n")[document.line_within("prompts.mine", place) - 1].strip() == "second"


def test_line_within_a_quoted_text_is_that_of_its_key() -> None:
    assert read_yaml('a: 1\nb: "x\\ny"\n', file="f").line_within("b", 2) == 2


def test_errors_can_be_located() -> None:
    document = read_yaml(JOB, file="job.yaml")
    located = document.locate(UsageError("bad", fix="mend it", key="stages.1.kind"))
    assert str(located) == "job.yaml:4: stages.1.kind: bad; fix: mend it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "job.yaml: the file is empty; fix: write at least one 'key: value' line"),
        ("# nothing\n", "job.yaml: the file is empty; fix: write at least one 'key: value' line"),
        ("a:\n\tb: 1", "job.yaml:2: a tab indents this line; fix: indent with spaces"),
        ("a:\n  b: 1\n\tc: 2", "job.yaml:3: a tab indents this line; fix: indent with spaces"),
        (
            "a: 1\nb: {c: 1,\n  c: 2}",
            "job.yaml:3: b.c: duplicate key 'c' (first on line 2); fix: remove one of them",
        ),
        ("a: &x 1", "job.yaml:1: a: anchor '&x'; fix: remove it"),
        ("a: 1\nb: *a", "job.yaml:2: b: alias '*a'; fix: write the value out"),
        ("a: &a [*a]", "job.yaml:1: a: anchor '&a'; fix: remove it"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "job.yaml:1: a: tag '!!python/object/apply:os.system'; "
            "fix: remove it; quote what is text",
        ),
        ("a: !!str 1", "job.yaml:1: a: tag '!!str'; fix: remove it; quote what is text"),
        ("a: 1\n---\nb: 2", "job.yaml:2: a second document ('---'); fix: keep one document"),
        ("<<: {a: 1}", "job.yaml:1: merge key '<<'; fix: write the keys out"),
        ("1: a", "job.yaml:1: key 1 is not text; fix: quote it: '1'"),
        (
            "a: {{ b }}",
            "job.yaml:1: a: a key is text, found a mapping; "
            "fix: quote a text that begins with '{' or '['",
        ),
        (
            "a: b: c",
            "job.yaml:1: not YAML: mapping values are not allowed here; "
            "fix: quote a text that holds ': '",
        ),
        (
            "a: [1,\nb: 2",
            "job.yaml:2: not YAML: expected ',' or ']', but got '<stream end>' "
            "(while parsing a flow sequence on line 1); "
            "fix: close the bracket, and quote a text that holds ',', '?' or a bracket",
        ),
        (b"a: 1\nb: caf\xe9", "job.yaml:2: byte 0xe9 is not UTF-8; fix: save the file as UTF-8"),
        ("a: 1\nb: x\0y", "job.yaml:2: a NUL character; fix: remove it"),
        ("a: 1\nb: x\u2028y", "job.yaml:2: the character U+2028; fix: remove it"),
        ("a: 1\nb: x\x85y", "job.yaml:2: the character U+0085; fix: remove it"),
        ("a: x\ud800", "job.yaml:1: the character U+D800; fix: remove it"),
        (
            'a: "\\0"',
            "job.yaml:1: a: the escape of U+0000, which is no text; "
            "fix: write the character itself, or none",
        ),
        (
            'a: "\\ud83d\\ude00"',
            "job.yaml:1: a: the escape of U+D83D, which is no text; "
            "fix: write the character itself, or none",
        ),
        (
            'a: "\\UFFFFFFFF"',
            "job.yaml:1: an escape is not a character; fix: write the character itself",
        ),
        (
            "a: " + "[" * 2000,
            f"job.yaml:1: a.0.0.0: nested more than {MAX_DEPTH} deep; "
            "fix: write it flatter, or quote what is text",
        ),
        ("\n".join(" " * i + "a:" for i in range(1000)), "job.yaml:51: a.a.a.a: nested more than"),
        ("#" * (MAX_BYTES + 1), "job.yaml: larger than 1 MiB; fix: split the file"),
    ],
)
def test_refuses_what_readers_read_differently(text: str | bytes, message: str) -> None:
    found = error_of(text)
    assert found.startswith(message) if message.endswith("than") else found == message


@pytest.mark.parametrize(
    ("scalar", "problem", "fix"),
    [
        ("no", "'no' is false to YAML 1.1 and text to YAML 1.2", "'no', or write false"),
        ("On", "'On' is true to YAML 1.1 and text to YAML 1.2", "'On', or write true"),
        ("y", "'y' is true to YAML 1.1 and text to YAML 1.2", "'y', or write true"),
        ("1.10", "'1.10' would be read as 1.1", "'1.10', or write 1.1"),
        ("5.", "'5.' would be read as 5.0", "'5.', or write 5.0"),
        ("1e3", "'1e3' is text to YAML 1.1 and 1000.0 to YAML 1.2", "'1e3', or write 1000.0"),
        ("1.5e3", "'1.5e3' is text to YAML 1.1 and 1500.0 to YAML 1.2", "'1.5e3', or write 1500.0"),
        ("012", "'012' is 10 to YAML 1.1 and 12 to YAML 1.2", "'012', or write 12"),
        ("089", "'089' is text to YAML 1.1 and 89 to YAML 1.2", "'089', or write 89"),
        ("0x1F", "'0x1F' would be read as 31", "'0x1F', or write 31"),
        ("0o17", "'0o17' is text to YAML 1.1 and 15 to YAML 1.2", "'0o17', or write 15"),
        ("0b11", "'0b11' is 3 to YAML 1.1 and text to YAML 1.2", "'0b11', or write 3"),
        ("1_000", "'1_000' is 1000 to YAML 1.1 and text to YAML 1.2", "'1_000', or write 1000"),
        ("12:30:45", "'12:30:45' is 45045 to YAML 1.1 and text to YAML 1.2", "'12:30:45'"),
        ("2026-11-20", "'2026-11-20' is a date to YAML 1.1 and text to YAML 1.2", "'2026-11-20'"),
        ("2026-13-45", "'2026-13-45' is a date to YAML 1.1 and text to YAML 1.2", "'2026-13-45'"),
        (".nan", "'.nan' is not a finite number", "'.nan'"),
        ("-.inf", "'-.inf' is not a finite number", "'-.inf'"),
        ("1.0e+999", "'1.0e+999' is too large for a number", "'1.0e+999'"),
        ("=", "'=' is special to YAML 1.1 and text to YAML 1.2", "'='"),
        ("9" * 20, "an integer of 20 digits does not fit 64 bits", f"'{'9' * 20}'"),
    ],
)
def test_asks_for_quotes_where_yaml_versions_differ_or_text_is_lost(
    scalar: str, problem: str, fix: str
) -> None:
    expected = f"job.yaml:2: x: {problem}; fix: quote it: {fix}"
    assert error_of(f"a: 1\nx: {scalar}\n") == expected
    assert read_yaml(f"x: '{scalar}'", file="job.yaml").data == {"x": scalar}


def test_an_integer_of_thousands_of_digits_is_not_echoed() -> None:
    expected = "job.yaml:1: x: an integer of 5000 digits does not fit 64 bits; fix: quote it"
    assert error_of("x: " + "7" * 5000) == expected


@given(st.text(alphabet="0123456789+-._:eExobTaZnfNyYsoO ~=<", min_size=1, max_size=12))
def test_a_plain_scalar_is_refused_or_read_as_pyyaml_and_json_read_it(text: str) -> None:
    """Whatever the reader lets pass unquoted has one reading, and its text can be had back."""
    try:
        value = read_yaml(f"[{text}]", file="f").data
    except UsageError:
        return
    try:
        expected = yaml.safe_load(f"[{text}]")
    except ValueError:  # a date that is none
        pytest.fail(f"{text!r} is a date to PyYAML")
    assert value == expected
    assert not any(isinstance(item, date) for item in expected)
    for item in value:
        if type(item) in (int, float):
            assert Decimal(text.strip()) == Decimal(repr(item))


@given(st.binary(max_size=60))
def test_bytes_give_data_or_a_usage_error(raw: bytes) -> None:
    with suppress(UsageError):
        read_yaml(raw, file="f")


@given(st.text(alphabet="ab:-[]{}\"'|>&*!%@#,? \n\t\\u0", max_size=40))
def test_yaml_like_text_gives_data_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        read_yaml(text, file="f")


def test_mapping_says_what_was_found() -> None:
    with pytest.raises(UsageError) as caught:
        read_yaml("- a\n", file="job.yaml").mapping("a job")
    expected = "job.yaml:1: a job is a mapping, found a list; fix: write 'key: value' lines"
    assert str(caught.value) == expected


def test_reads_a_file_with_its_text_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\r\n# end")
    document = read_yaml_file(path, shown="a.yaml")
    assert (document.data, document.text, document.file) == ({"a": 1}, "a: 1\r\n# end", "a.yaml")


def test_missing_file_folder_fifo_and_large_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(5 << 30)  # sparse: it must not be read as a whole
    for name, message in {
        "none": "f.yaml: no such file",
        "": "f.yaml: not a file",
        "fifo": "f.yaml: not a file",
        "large": "f.yaml: larger than 1 MiB; fix: split the file",
        "none\0": "f.yaml: cannot be read: ",
    }.items():
        with pytest.raises(UsageError) as caught:
            read_yaml_file(tmp_path / name, shown="f.yaml")
        assert str(caught.value).startswith(message)
