import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from source_views import View, build, parted

from chains.loading.base import Unreadable
from pipelines.sources import SOURCES
from pipelines.sources.lines import CappedLines, LineTooLong
from pipelines.sources.values import plain
from prompts.errors import SourceError, UsageError

JSON_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x85\u2028\r👩\u200d")
)


def read(folder: Path, content: bytes, name: str = "q.jsonl", **settings: Any) -> Any:
    """Rows as (data, key) and bad ones as (key, reason)."""
    (folder / name).write_bytes(content)
    rows, bad = parted(build("records", path=name, **settings).read(View(folder)))
    return [(row.data, row.key) for row in rows], [(item.key, item.reason) for item in bad]


def write_parquet(folder: Path, table: pa.Table, name: str = "t.parquet") -> None:
    parquet.write_table(table, folder / name)


# JSON Lines


@given(st.lists(st.dictionaries(JSON_TEXT, JSON_TEXT, min_size=1), min_size=1))
def test_json_lines_come_out_as_they_went_in(records: list[dict[str, str]]) -> None:
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    with tempfile.TemporaryDirectory() as folder:
        rows, bad = read(Path(folder), "\n".join(lines).encode("utf-8"))
    assert rows == [(record, "") for record in records]
    assert bad == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{bad", "bad_json"),
        (b"[1, 2]", "bad_json"),
        (b"3", "bad_json"),
        (b"null", "bad_json"),
        (b'{"a": NaN}', "bad_json"),
        (b'{"a": -Infinity}', "bad_json"),
        (b'{"a": 1, "a": 2}', "bad_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "bad_json"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        (b'{"a": 1} {"a": 2}', "bad_json"),
        (b'{"a": "caf\xe9"}', "not_utf8"),
        (b"{}", "empty"),
        (b'{"a": "' + b"x" * (17 << 20) + b'"}', "line_too_long"),
    ],
    ids=str,
)
def test_a_bad_line_is_named_by_its_number_and_the_rest_is_read(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    rows, bad = read(tmp_path, b'{"a": "1"}\n\n' + line + b"\n  \n" + b'{"a": "2"}\n')
    assert rows == [({"a": "1"}, ""), ({"a": "2"}, "")]
    assert bad == [("q.jsonl:3", reason)]


def test_only_the_line_feed_ends_a_line(tmp_path: Path) -> None:
    content = '{"a": "x\u2028y\x85z"}\r\n{"a": "\\u0000"}\r{"a": 1}\n{"a": "end"}'.encode()
    rows, bad = read(tmp_path, content)
    assert rows == [({"a": "x\u2028y\x85z"}, ""), ({"a": "end"}, "")]
    assert bad == [("q.jsonl:2", "bad_json")]


def test_byte_order_marks_of_json_lines(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbf{"a": 1}\n') == ([({"a": 1}, "")], [])
    with pytest.raises(SourceError, match=r"1 not_utf8.*UTF-16; JSON Lines is UTF-8"):
        read(tmp_path, '{"a": 1}\n'.encode("utf-16"))


def test_a_line_of_five_billion_bytes_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    """Sparse, so that it takes no room; 400 MB of it suffice to tell it from being held."""
    path = tmp_path / "q.jsonl"
    path.touch()
    os.truncate(path, 400_000_000)
    with path.open("ab") as file:
        file.write(b'\n{"a": "after"}\n')
    code = (
        "import resource, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from source_views import View, build, parted\n"
        f"view = View(Path({str(tmp_path)!r}))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows, bad = parted(build('records', path='q.jsonl').read(view))\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print([r.data for r in rows], [b.reason for b in bad], grown < 100_000)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[{'a': 'after'}] ['line_too_long'] True\n"


@pytest.mark.parametrize("text", [False, True])
def test_capped_lines_go_on_behind_a_long_one(tmp_path: Path, text: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc\n" + b"0123456789" * 300_000 + b"\nxyz\n" + b"1" * 9)
    with path.open("r" if text else "rb", newline="" if text else None) as file:
        lines: Any = CappedLines(file, longest=8)
        found = []
        while True:
            try:
                found.append((lines.number, next(lines)))
            except LineTooLong:
                found.append((lines.number, "long"))
            except StopIteration:
                break
    short = ["abc\n", "xyz\n"] if text else [b"abc\n", b"xyz\n"]
    assert found == [(0, short[0]), (2, "long"), (2, short[1]), (4, "long")]


# CSV


def test_csv_cells_stay_text_to_the_letter(tmp_path: Path) -> None:
    content = 'id,text\n007,=1+1\n1.50,"a ""b"",\r\nc"\n,\u2028\x00 x \n'.encode()
    assert read(tmp_path, content, "q.csv") == (
        [
            ({"id": "007", "text": "=1+1"}, ""),
            ({"id": "1.50", "text": 'a "b",\r\nc'}, ""),
            ({"id": "", "text": "\u2028\x00 x "}, ""),
        ],
        [],
    )


def test_bad_csv_rows_are_named_by_the_line_they_begin_on(tmp_path: Path) -> None:
    content = b'\na,b\n1,2\n3\n4,5,6\n"7\n7",8\n\n"9"x,9\n10,11\n"open,12\n'
    rows, bad = read(tmp_path, content, "q.csv")
    assert [data["a"] for data, _ in rows] == ["1", "7\n7", "10"]
    assert bad == [
        ("q.csv:4", "ragged_row"),
        ("q.csv:5", "ragged_row"),
        ("q.csv:9", "bad_csv"),
        ("q.csv:11", "bad_csv"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    content = "wort,größe\nÜbung,schön und süß\nStraße,für Mädchen\n".encode(encoding)
    rows, bad = read(tmp_path, content, "q.csv")
    assert [data["wort"] for data, _ in rows] == ["Übung", "Straße"]
    assert bad == []


def test_an_encoding_that_tells_late_is_found(tmp_path: Path) -> None:
    plain_rows = b"a,b\n" + b"some,plain words\n" * 70_000
    rows, bad = read(tmp_path, plain_rows + "für,die schöne Größe\n".encode("cp1252"), "q.csv")
    assert len(rows) == 70_001
    assert rows[-1][0] == {"a": "für", "b": "die schöne Größe"}
    assert bad == []


def test_delimiters(tmp_path: Path) -> None:
    assert read(tmp_path, b"a;b\n1;2\n", "q.csv", delimiter=";")[0] == [({"a": "1", "b": "2"}, "")]
    assert read(tmp_path, b"a\tb\n1\t2\n", "q.tsv")[0] == [({"a": "1", "b": "2"}, "")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,a\n1,2\n", "bad_header"),
        (b"a,b\n", "empty"),
        (b"", "empty"),
        (b"PK\x03\x04\x00\x00", "binary"),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", "undecodable"),
    ],
)
def test_a_csv_file_without_rows_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"1 {reason}"):
        read(tmp_path, content, "q.csv")


def test_a_cell_may_be_long_and_a_line_may_not(tmp_path: Path) -> None:
    content = b'a,b\n1,"' + b"x" * 1_000_000 + b'"\n2,' + b"y" * (17 << 20) + b"\n3,z\n"
    rows, bad = read(tmp_path, content, "q.csv")
    assert [(data["a"], len(data["b"])) for data, _ in rows] == [("1", 1_000_000), ("3", 1)]
    assert bad == [("q.csv:3", "line_too_long")]


# Parquet


def test_parquet_values_become_json(tmp_path: Path) -> None:
    values = {
        "text": "a",
        "day": date(2026, 11, 20),
        "moment": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        "price": Decimal("1.50"),
        "raw": b"bytes",
        "missing": float("nan"),
        "nested": {"list": [1, None], "when": time(9, 30)},
    }
    write_parquet(tmp_path, pa.Table.from_pylist([values]))
    rows, bad = parted(build("records", path="t.parquet").read(View(tmp_path)))
    assert bad == []
    assert rows[0].data == {
        "text": "a",
        "day": "2026-11-20",
        "moment": "2026-11-20T09:30:00+00:00",
        "price": "1.50",
        "raw": "bytes",
        "missing": None,
        "nested": {"list": [1, None], "when": "09:30:00"},
    }
    json.dumps(rows[0].data, allow_nan=False)


def test_a_parquet_row_that_is_no_json_is_named_by_its_number(tmp_path: Path) -> None:
    write_parquet(
        tmp_path, pa.table({"a": [b"x", b"\xff\xfe", b"y"], "b": [1.0, 2.0, float("inf")]})
    )
    rows, bad = parted(build("records", path="t.parquet").read(View(tmp_path)))
    assert [row.data for row in rows] == [{"a": "x", "b": 1.0}]
    assert [(item.key, item.reason, item.detail) for item in bad] == [
        ("t.parquet:2", "not_json", "column 'a': 2 bytes that are not UTF-8 text"),
        ("t.parquet:3", "not_json", "column 'b': an infinite number"),
    ]


def test_a_date_beyond_pythons_years_fails_its_row_alone(tmp_path: Path) -> None:
    days = pa.array([0, 5_000_000, 1], pa.int32()).cast(pa.date32())
    write_parquet(tmp_path, pa.table({"day": days}))
    rows, bad = parted(build("records", path="t.parquet").read(View(tmp_path)))
    assert [row.data["day"] for row in rows] == ["1970-01-01", "1970-01-02"]
    assert [(item.key, item.reason) for item in bad] == [("t.parquet:2", "not_json")]


def test_parquet_is_read_in_batches_and_by_column(tmp_path: Path) -> None:
    write_parquet(
        tmp_path,
        pa.table({"n": list(range(1234)), "a.b": ["x"] * 1234, "pixels": [b"\xff"] * 1234}),
    )
    source = build("records", path="t.parquet", columns={"number": "n", "dotted": "a.b"}, key="n")
    rows, bad = parted(source.read(View(tmp_path)))
    assert bad == []
    assert [row.data for row in rows] == [{"number": n, "dotted": "x"} for n in range(1234)]
    assert rows[7].key == "7"


def test_a_parquet_file_that_lacks_a_column_lists_those_it_has(tmp_path: Path) -> None:
    write_parquet(tmp_path, pa.table({"a": [1], "b": [2]}))
    with pytest.raises(SourceError, match="no column 'c'; there are: a, b"):
        list(build("records", path="t.parquet", columns=["a", "c"]).read(View(tmp_path)))


def test_a_damaged_parquet_file_is_one_entry(tmp_path: Path) -> None:
    write_parquet(tmp_path, pa.table({"a": [1]}), "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-9])
    (tmp_path / "not.parquet").write_bytes(b"PAR1 text PAR1")
    rows, bad = parted(build("records", path="*.parquet").read(View(tmp_path)))
    assert [row.data for row in rows] == [{"a": 1}]
    assert [(item.key, item.reason) for item in bad] == [
        ("cut.parquet", "bad_parquet"),
        ("not.parquet", "bad_parquet"),
    ]


# Values, columns and keys


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(hours=1, seconds=1), "1:00:01"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("NaN"), "NaN"),
        ((1, (b"x",)), [1, ["x"]]),
        ({1: True}, {"1": True}),
        (2**70, 2**70),
    ],
)
def test_plain_values(value: Any, expected: Any) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize("value", [float("-inf"), b"\xff", object(), {"a": [b"\xff"]}, {1, 2}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable, match="not_json"):
        plain(value)


def test_columns_are_chosen_and_renamed(tmp_path: Path) -> None:
    content = b'{"id": 7, "q": "When?", "a": "Now."}\n{"id": 8, "q": "Who?"}\n'
    chosen = {"columns": {"question": "q", "answer": "a"}, "key": "id"}
    assert read(tmp_path, content, **chosen) == (
        [({"question": "When?", "answer": "Now."}, "7")],
        [("q.jsonl:2", "missing_column")],
    )
    assert read(tmp_path, content, columns=["q"])[0] == [({"q": "When?"}, ""), ({"q": "Who?"}, "")]


@pytest.mark.parametrize("value", ["null", '""', "[1]", '{"a": 1}'])
def test_a_key_that_names_nothing_is_refused(tmp_path: Path, value: str) -> None:
    content = f'{{"id": 0, "q": "a"}}\n{{"id": {value}, "q": "b"}}\n'.encode()
    assert read(tmp_path, content, key="id", columns=["q"]) == (
        [({"q": "a"}, "0")],
        [("q.jsonl:2", "no_key")],
    )


def test_a_record_without_a_key_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"q": "a"}\n{"q": "b"}\n', encoding="utf-8")
    source = build("records", path="q.jsonl")
    before = [row.identity() for row in parted(source.read(View(tmp_path)))[0]]
    (tmp_path / "q.jsonl").write_text('{"q": "new"}\n{"q": "a"}\n{"q": "b"}\n', encoding="utf-8")
    after = [row.identity() for row in parted(source.read(View(tmp_path)))[0]]
    assert after[1:] == before


def test_columns_are_looked_up_before_a_run(tmp_path: Path) -> None:
    view = View(tmp_path)
    (tmp_path / "q.jsonl").write_text('bad\n{"a": 1}\n{"b": 1}\n', encoding="utf-8")
    (tmp_path / "q.csv").write_text("c,d\n1,2\n", encoding="utf-8")
    write_parquet(tmp_path, pa.table({"e": [1]}))
    assert build("records", path="q.jsonl").columns(view) == {"a", "b"}
    assert build("records", path="q.csv").columns(view) == {"c", "d"}
    assert build("records", path="t.parquet").columns(view) == {"e"}
    assert build("records", path="q.csv", columns={"x": "d"}).columns(view) == {"x"}
    with pytest.raises(SourceError, match=r"no column 'x' in 'q.csv'.*: c, d") as info:
        build("records", path="q.csv", columns=["c", "x"]).columns(view)
    assert info.value.key == "columns"
    with pytest.raises(SourceError, match=r"no column 'id' in 't.parquet'"):
        build("records", path="t.parquet", key="id").columns(view)
    (tmp_path / "bad.jsonl").write_text("bad\n", encoding="utf-8")
    with pytest.raises(SourceError, match="1 bad_json"):
        build("records", path="bad.jsonl").columns(view)


def test_files_of_several_kinds_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "b.csv").write_text("a\n2\n", encoding="utf-8")
    (folder / "a.ndjson").write_text('{"a": 1}\n', encoding="utf-8")
    write_parquet(folder, pa.table({"a": [3]}), "c.parquet")
    (folder / "d.xlsx").write_bytes(b"PK\x03\x04")
    rows, bad = parted(build("records", path="data").read(View(tmp_path)))
    assert [row.data["a"] for row in rows] == [1, "2", 3]
    assert [(item.key, item.reason) for item in bad] == [("d.xlsx", "unsupported_type")]


def test_the_fingerprint_tells_what_would_be_read(tmp_path: Path) -> None:
    view = View(tmp_path)
    (tmp_path / "q.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    source = build("records", path="q.csv")
    first = source.fingerprint(view)
    assert source.fingerprint(view) == first
    assert build("records", path="q.csv", columns=["a"]).fingerprint(view) != first
    (tmp_path / "q.csv").write_text("a,b\n1,3\n", encoding="utf-8")
    assert source.fingerprint(view) != first


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"columns": {}}, "at least 1 item"),
        ({"columns": ["a", "a"]}, "a column is named twice"),
        ({"columns": {"a": 1}}, "columns.a: found 1"),
        ({"delimiter": ";;"}, "at most 1 character"),
        ({"choice": ["a"]}, "unknown key 'choice'"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        build("records", path="q.csv", **settings)


def test_a_resolved_source_is_read_back_as_it_was() -> None:
    for settings in ({}, {"columns": {"a": "b"}, "key": "c"}, {"columns": ["a"]}):
        source = build("records", path=["a", "b"], **settings)
        dumped = source.model_dump(mode="json")
        assert "choice" not in dumped
        assert SOURCES.build(dumped) == source
