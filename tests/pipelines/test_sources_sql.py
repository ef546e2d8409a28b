import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import textmill
from source_views import View, build, parted

from pipelines.sources.sql_statement import check_select
from prompts.errors import SourceError, UsageError

SLOW_QUERY = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
SELECT max(i) AS most FROM n"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a database of 2,500 questions."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as database:
        database.execute(
            "CREATE TABLE faq (id INTEGER PRIMARY KEY, text TEXT, stars INT, raw BLOB)"
        )
        rows = [(n, f"Question {n}?", n % 5, f"raw {n}".encode()) for n in range(2500)]
        database.execute("BEGIN")
        database.executemany("INSERT INTO faq VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
    return tmp_path


def rows(folder: Path, query: str, **settings: Any) -> list[dict[str, Any]]:
    found, bad = parted(source(query, **settings).read(View(folder)))
    assert bad == []
    return [seed.data for seed in found]


def source(query: str, **settings: Any) -> Any:
    return build("sql", **{"url": "sqlite:///shop.db", "query": query, **settings})


def test_rows_come_in_the_order_of_the_query_with_keys_and_names(shop: Path) -> None:
    query = "SELECT id, text AS t, raw FROM faq WHERE stars = :stars ORDER BY id DESC;"
    found = source(query, parameters={"stars": 3}, columns={"question": "t"}, key="id")
    assert found.columns(View(shop)) == {"question"}
    seeds, _ = parted(found.read(View(shop)))
    assert [seed.key for seed in seeds] == [str(n) for n in range(2498, 0, -5)]
    assert seeds[0].data == {"question": "Question 2498?"}
    assert rows(shop, "SELECT raw FROM faq ORDER BY id")[7] == {"raw": "raw 7"}


def test_without_an_order_rows_are_sorted_by_what_they_hold(shop: Path) -> None:
    query = "SELECT text, stars FROM faq WHERE id < 12"
    found = rows(shop, query)
    assert [row["text"] for row in found][:4] == [
        *("Question 0?", "Question 10?", "Question 5?", "Question 11?")
    ]
    with closing(sqlite3.connect(shop / "shop.db", isolation_level=None)) as database:
        database.execute("UPDATE faq SET id = -id")  # another order on disk
    assert rows(shop, "SELECT text, stars FROM faq WHERE id > -12") == found


def test_lists_are_bound_and_text_cannot_break_out(shop: Path) -> None:
    query = "SELECT id FROM faq WHERE text IN :texts ORDER BY id"
    wanted = ["Question 7?", "x'); DROP TABLE faq; --", "Question 9?"]
    assert rows(shop, query, parameters={"texts": wanted}) == [{"id": 7}, {"id": 9}]


def test_where_is_that_of_records(shop: Path) -> None:
    where = {"stars": [1, 2], "text": {"max_length": 11}}
    assert rows(shop, "SELECT * FROM faq ORDER BY id", where=where, columns=["id"]) == [
        {"id": n} for n in (1, 2, 6, 7)
    ]
    with pytest.raises(SourceError, match="no record of 'the query' is as 'where' asks"):
        rows(shop, "SELECT * FROM faq", where={"stars": 77})
    with pytest.raises(SourceError, match="no column 'star' in 'the query'"):
        source("SELECT * FROM faq", where={"star": 77}).columns(View(shop))


REFUSED = {
    "DROP TABLE faq": "'DROP' is not a query",
    "DELETE FROM faq": "'DELETE' is not a query",
    "PRAGMA table_info(faq)": "'PRAGMA' is not a query",
    "ATTACH 'x.db' AS x": "'ATTACH' is not a query",
    "EXPLAIN SELECT 1": "'EXPLAIN' is not a query",
    "": "query",
    "  -- nothing\n": "no query",
    ";;": "no query",
    "SELECT 1; DROP TABLE faq": "more than one statement",
    "SELECT 1;; SELECT 2": "more than one statement",
    "SELECT ';' ; DELETE FROM faq": "more than one statement",
    "SELECT 1 /* ' */; DROP TABLE faq -- '": "more than one statement",
    "WITH x AS (DELETE FROM faq RETURNING *) SELECT * FROM x": "'DELETE' in the query",
    "WITH x AS (SELECT 1) INSERT INTO faq SELECT * FROM x": "'INSERT' in the query",
    "SELECT * INTO copy FROM faq": "'INTO' in the query",
    "SELECT * FROM faq FOR UPDATE": "'UPDATE' in the query",
    "SELECT 'open": "not closed",
    "SELECT /* /* */ */ 1": "comment inside a comment",
}


@pytest.mark.parametrize("query", REFUSED, ids=lambda query: query[:30] or "empty")
def test_what_is_not_one_select_is_refused_before_it_is_sent(shop: Path, query: str) -> None:
    before = (shop / "shop.db").read_bytes()
    with pytest.raises(UsageError, match=REFUSED[query]):
        source(query).columns(View(shop))
    with pytest.raises(UsageError):
        list(source(query).read(View(shop)))
    assert (shop / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    ("query", "dialect"),
    [
        ("SELECT 'it''s; DROP' FROM t ORDER BY 1", "sqlite"),
        ('SELECT "delete", [insert], `into` FROM t ORDER BY 1 ; ', "sqlite"),
        ("SELECT replace(a, 'x', 'y') FROM t -- ; DROP\nORDER BY a", "sqlite"),
        ("(SELECT 1) UNION (SELECT 2) ORDER BY 1", "postgresql"),
        ("SELECT $$;drop$$, $x$ $$; $x$, E'\\'; drop' FROM t ORDER BY 1", "postgresql"),
        ("SELECT '\\'; DROP TABLE t' FROM t ORDER BY 1 # ; end", "mysql"),
        ("VALUES (1), (2) ORDER BY 1", "sqlite"),
    ],
)
def test_strings_names_and_comments_are_no_statements(query: str, dialect: str) -> None:
    assert check_select(query, dialect)


@pytest.mark.parametrize(
    ("query", "dialect"),
    [
        ("SELECT a$b$ FROM t; DROP TABLE t; SELECT a$b$", "postgresql"),
        ("SELECT '\\'; DROP TABLE t --'", "postgresql"),
        ("SELECT 1--1; DROP TABLE t", "mysql"),
        ("SELECT 1 /*!; DROP TABLE t */", "mysql"),
        ("SELECT a[1]; DROP TABLE t --]", "postgresql"),
    ],
)
def test_what_only_looks_quoted_is_seen(query: str, dialect: str) -> None:
    with pytest.raises(UsageError):
        check_select(query, dialect)


def test_an_order_inside_of_brackets_is_none_of_the_rows() -> None:
    inside = "SELECT a, row_number() OVER (ORDER BY b) FROM (SELECT * FROM t ORDER BY a)"
    assert not check_select(inside, "sqlite")
    assert check_select(f"{inside} ORDER BY a", "sqlite")


def test_the_connection_itself_cannot_write(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second guard, with the first one out of the way."""
    monkeypatch.setattr("pipelines.sources.sql.check_select", lambda query, dialect: True)
    before = (shop / "shop.db").read_bytes()
    for query in (
        "DELETE FROM faq",
        "WITH x AS (SELECT 1) DELETE FROM faq",
        f"ATTACH DATABASE '{shop}/other.db' AS other",
        "PRAGMA query_only = 0",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_database_list",
        "VACUUM",
        "CREATE TEMP TABLE x (a)",
    ):
        with pytest.raises(SourceError, match=r"more than read|database says"):
            list(source(query).read(View(shop)))
    assert (shop / "shop.db").read_bytes() == before
    assert sorted(path.name for path in shop.iterdir()) == ["shop.db"]


def test_a_query_that_takes_too_long_is_stopped(shop: Path) -> None:
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"timeout: the query timed out after 0\.3 seconds"):
        rows(shop, SLOW_QUERY, timeout=0.3)
    assert time.monotonic() - began < 10


def test_time_that_the_run_takes_between_rows_is_not_the_database_s(shop: Path) -> None:
    found = source("SELECT id FROM faq ORDER BY id", timeout=0.3).read(View(shop))
    next(found)
    time.sleep(0.5)
    assert len(list(found)) == 2499


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "sqlite:///none.db"}, "no such file or folder: 'none.db'"),
        ({"query": "SELECT x FROM faq"}, "the database says: no such column: x"),
        ({"columns": ["name"]}, "no column 'name'; fix: its columns: id, text"),
        ({"key": "name"}, "no column 'name'"),
        ({"query": "SELECT :a AS a"}, "asks for ':a', which has no value"),
        ({"parameters": {"a": 1}}, "the query has no ':a'"),
        ({"url": "oracle://host/db"}, "'oracle' cannot be opened for reading alone"),
        ({"url": "shop.db"}, "no URL of a database"),
        ({"url": "postgresql://u:${NO_SUCH_VARIABLE}@host/db"}, "NO_SUCH_VARIABLE is not set"),
        ({"url": "mysql+nothing://host/db"}, "driver for mysql+nothing is missing"),
    ],
)
def test_what_is_wrong_is_said_before_a_run(
    shop: Path, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises((SourceError, UsageError)) as caught:
        source(**{"query": "SELECT id, text FROM faq", **settings}).columns(View(shop))
    assert problem in str(caught.value)


def test_a_database_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(SourceError, match="file is not a database"):
        rows(tmp_path, "SELECT id FROM faq")


def test_columns_of_one_name_are_refused(shop: Path) -> None:
    with pytest.raises(SourceError, match="query: two columns are named 'id'"):
        rows(shop, "SELECT id, text, id FROM faq")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "mysql://host/db?user=a&password=hunter2",
        "postgresql://me:x${A}hunter2@host/db",
        "postgresql+psycopg://:hunter2@host",
    ],
)
def test_a_password_in_a_job_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="a password in the job") as caught:
        source("SELECT 1", url=url)
    assert "hunter2" not in str(caught.value)


def test_the_fingerprint_tells_what_would_be_read(shop: Path) -> None:
    query = "SELECT id, text FROM faq WHERE id < 5 ORDER BY id"
    first = source(query).fingerprint(View(shop))
    assert source(query).fingerprint(View(shop)) == first
    assert source(query, columns=["text"]).fingerprint(View(shop)) != first
    with closing(sqlite3.connect(shop / "shop.db", isolation_level=None)) as database:
        database.execute("UPDATE faq SET text = 'New?' WHERE id = 99")
    assert source(query).fingerprint(View(shop)) == first
    with closing(sqlite3.connect(shop / "shop.db", isolation_level=None)) as database:
        database.execute("UPDATE faq SET text = 'New?' WHERE id = 3")
    assert source(query).fingerprint(View(shop)) != first


JOB = """\
name: shop
seed: 3
rows: 4
models: {writer: {model: scripted}}
prompts:
  ask: |
    variables: {text: A question.}
    messages:
      - {role: user, content: "Answer {{ text }}"}
sources:
  - {kind: sql, url: "sqlite:///shop.db", query: "QUERY", key: id}
stages:
  - {kind: generate, model: writer, prompt: ask, adds: answer}
exports:
  - {kind: jsonl}
"""


@pytest.mark.parametrize(
    ("query", "code", "line"),
    [
        ("SELECT id, text FROM faq ORDER BY id", 0, ""),
        ("SELECT 1; DROP TABLE faq", 2, "job.yaml:11: sources.0.query: more than one statement"),
        ("SELECT no FROM faq", 3, "job.yaml:11: sources.0: the database says: no such column: no"),
    ],
)
def test_jobs_on_the_command_line(shop: Path, query: str, code: int, line: str) -> None:
    (shop / "job.yaml").write_text(JOB.replace("QUERY", query), encoding="utf-8")
    words = ("--out", "run", "--ledger", "ledger.sqlite")
    ended = textmill(shop, "run", "job.yaml", *words)
    assert ended.code == code, ended.err
    assert line in ended.err


# PostgreSQL, where there is one.

BINARIES = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of this test's own, with a password in $TEST_PG_PASSWORD."""
    if not (BINARIES / "initdb").exists() or shutil.which("runuser") is None or os.getuid() != 0:
        pytest.skip("no PostgreSQL that can be started here")
    folder = Path("/tmp") / f"textmill-pg-{os.getpid()}"
    folder.mkdir()
    try:
        yield from _started(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "password").write_text("s3cret/@:word")
    shutil.chown(folder, "postgres")
    shutil.chown(folder / "password", "postgres")
    as_user = ["runuser", "-u", "postgres", "--"]
    data = str(folder / "data")
    make = [str(BINARIES / "initdb"), "-D", data, "-A", "scram-sha-256", "-U", "owner"]
    subprocess.run(
        [*as_user, *make, f"--pwfile={folder}/password"], check=True, capture_output=True
    )
    control = [*as_user, str(BINARIES / "pg_ctl"), "-D", data, "-w"]
    options = f"-p {port} -k {folder} -h 127.0.0.1 -F"
    subprocess.run(
        [*control, "-l", f"{folder}/log", "-o", options, "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"postgresql+psycopg://owner:${{TEST_PG_PASSWORD}}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)


@pytest.mark.slow
def test_postgresql_is_read_and_cannot_be_written(
    postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setenv("TEST_PG_PASSWORD", "s3cret/@:word")
    port = int(postgresql.rpartition(":")[2].partition("/")[0])
    login = {"host": "127.0.0.1", "port": port, "user": "owner", "password": "s3cret/@:word"}
    with psycopg.connect(dbname="postgres", **login) as owner:  # type: ignore[arg-type]
        owner.execute(
            "CREATE TABLE faq AS SELECT n AS id, 'Question ' || n AS text,"
            " ARRAY[n] AS many, now()::date AS day FROM generate_series(1, 2500) n"
        )
        owner.execute("CREATE SEQUENCE counter")
    query = "SELECT id, text, many, id::text AS word FROM faq WHERE id > :least ORDER BY id"
    settings = {"url": postgresql, "parameters": {"least": 1}}
    found = rows(tmp_path, query, **settings)
    assert (len(found), found[0]) == (
        2499,
        {"id": 2, "text": "Question 2", "many": [2], "word": "2"},
    )
    assert source(query, **settings).columns(View(tmp_path)) == {"id", "text", "many", "word"}
    with pytest.raises(SourceError, match=r"timed out after 0\.2 seconds"):
        rows(tmp_path, "SELECT pg_sleep(20)::text AS a", url=postgresql, timeout=0.2)
    monkeypatch.setattr("pipelines.sources.sql.check_select", lambda query, dialect: True)
    for written in (
        "DELETE FROM faq RETURNING id",
        "SELECT nextval('counter')",
        "SELECT id FROM faq FOR UPDATE",
        "SELECT * INTO copy FROM faq",
    ):
        with pytest.raises(SourceError, match=r"read-only trans|syntax error|INTO is not"):
            rows(tmp_path, written, url=postgresql)
    monkeypatch.setenv("TEST_PG_PASSWORD", "wr0ng")
    with pytest.raises(SourceError) as caught:
        rows(tmp_path, query, **settings)
    assert "wr0ng" not in str(caught.value)
    assert "password authentication failed" in str(caught.value)
