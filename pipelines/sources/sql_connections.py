"""Connections to databases that can read and nothing else.

    with open_connection(database_url("sqlite:///shop.db"), view, timeout=60) as database:
        for record in database.rows("SELECT id, question FROM faq ORDER BY id", {}):
            record      # {"id": 7, "question": "When?"}

SQLite is opened read-only and its authorizer lets nothing but reading pass; PostgreSQL, MySQL and
MariaDB get a read-only transaction, which is rolled back at the end. A password is never shown.
"""

import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipelines.sources.base import SourceView
from pipelines.sources.sql_statement import DIALECTS
from prompts.errors import SourceError, UsageError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, TextClause

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_BATCH = 1000  # rows that are asked for together
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_EXTENDING = {"load_extension", "fts3_tokenizer"}


def check_secret(url: str) -> None:
    """Check that a URL holds no password in plain text.

    Raises:
        UsageError: It does.
    """
    found = re.search(r"://[^/?#]*?:([^/?#]*)@", url) or re.search(r"[?&;]password=([^&;]*)", url)
    if found and found[1] and not _VARIABLE.fullmatch(found[1]):
        fix = "write ${NAME} in its place and set the environment variable NAME"
        raise UsageError("a password in the job", fix=fix, key="url")


def database_url(text: str) -> "URL":
    """The URL with the values of environment variables in the places of their `${NAME}`.

    Raises:
        UsageError: It is none, a variable is not set, or the database is of another kind.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    whole = _VARIABLE.fullmatch(text)
    try:
        url = make_url(_value(whole) if whole else text)
    except (ArgumentError, ValueError) as exc:
        fix = "write DIALECT://USER:${PASSWORD}@HOST/NAME, or sqlite:///FILE"
        raise UsageError("no URL of a database", fix=fix, key="url") from exc
    if url.get_backend_name() not in DIALECTS:
        fix = f"use one of: {', '.join(DIALECTS)}; or export the rows and use 'records'"
        problem = f"'{url.get_backend_name()}' cannot be opened for reading alone"
        raise UsageError(problem, fix=fix, key="url")
    return url.set(
        username=_filled(url.username),
        password=_filled(url.password),
        host=_filled(url.host),
        database=_filled(url.database),
        query={name: _query_value(value) for name, value in url.query.items()},
    )


class Database:
    """An open connection."""

    def __init__(self, connection: "Connection", clock: "_Clock") -> None:
        self._connection = connection
        self._clock = clock

    def columns(self, query: str, parameters: Mapping[str, Any]) -> list[str]:
        """The names of a query's columns, without running it for its rows."""
        inner = query.rstrip().rstrip(";")
        looked = f"SELECT * FROM (\n{inner}\n) AS looked_at WHERE 1 = 0"
        self._clock.begin()
        result = self._connection.execute(_statement(looked, parameters), parameters)
        return _single(result.keys())

    def rows(self, query: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The rows of a query, a thousand at a time."""
        streamed = self._connection.execution_options(stream_results=True, max_row_buffer=_BATCH)
        self._clock.begin()
        result = streamed.execute(_statement(query, parameters), parameters)
        names = _single(result.keys())
        while rows := result.fetchmany(_BATCH):
            for row in rows:
                yield dict(zip(names, row, strict=True))
            self._clock.begin()


def _single(names: Iterable[str]) -> list[str]:
    """`names`, if each is there once."""
    listed = list(names)
    twice = next((name for name in listed if listed.count(name) > 1), None)
    if twice is not None:
        fix = f"rename one: {twice} AS another_name"
        raise SourceError(f"two columns are named '{twice}'", fix=fix, key="query")
    return listed


@contextmanager
def open_connection(url: "URL", view: SourceView, timeout: float) -> Iterator[Database]:
    """A connection that can only read.

    Args:
        url: Of the database, without variables.
        view: Finds the file of a SQLite database.
        timeout: Seconds that the database may take for the first rows, and again for each thousand.

    Raises:
        SourceError: It cannot be opened, or the query fails or takes too long; also in the middle.
        UsageError: The driver is not installed, or a parameter has no value.
    """
    from sqlalchemy.exc import SQLAlchemyError

    clock = _Clock(timeout)
    engine = _engine(url, view)
    try:
        with engine.connect() as connection:
            _keep_from_writing(connection, url.get_backend_name(), clock)
            try:
                yield Database(connection, clock)
            finally:
                connection.rollback()
    except SQLAlchemyError as exc:
        raise _explained(exc, url, clock) from exc
    finally:
        engine.dispose()


class _Clock:
    """How long the database has been busy with what it was asked last."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begin()

    def begin(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    def over(self) -> bool:
        return time.monotonic() > self._deadline


def _engine(url: "URL", view: SourceView) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        if url.get_backend_name() != "sqlite":
            return create_engine(url, poolclass=NullPool)
        path = view.path(url.database or "")
        uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        return create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool
        )
    except (ImportError, NoSuchModuleError) as exc:
        name = exc.name if isinstance(exc, ImportError) and exc.name else "its driver"
        problem = f"the driver for {url.drivername} is missing"
        raise UsageError(problem, fix=f"pip install {name}", key="url") from exc


def _keep_from_writing(connection: "Connection", dialect: str, clock: _Clock) -> None:
    milliseconds = max(1, int(clock.seconds * 1000))
    if dialect == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(clock.over, _STEPS)
        driver.set_authorizer(_authorise)
        return
    if dialect == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        return
    limit = {
        "mysql": f"SET SESSION max_execution_time = {milliseconds}",
        "mariadb": f"SET SESSION max_statement_time = {clock.seconds:f}",
    }
    connection.exec_driver_sql(limit[dialect])
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.rollback()  # the setting holds from the next transaction on


def _authorise(action: int, first: str | None, second: str | None, *rest: str | None) -> int:
    if action not in _READING or (action == sqlite3.SQLITE_FUNCTION and second in _EXTENDING):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _statement(query: str, parameters: Mapping[str, Any]) -> "TextClause":
    from sqlalchemy import bindparam, text

    statement = text(query)
    asked = set(statement.compile().params)
    for name in sorted(asked - set(parameters)):
        fix = f"add it to 'parameters', or write \\:{name} where a colon is meant"
        raise UsageError(f"the query asks for ':{name}', which has no value", fix=fix, key="query")
    for name in sorted(set(parameters) - asked):
        fix = f"write :{name} in the query, without quotes around it, or leave the parameter out"
        raise UsageError(f"the query has no ':{name}'", fix=fix, key=f"parameters.{name}")
    lists = [n for n, value in parameters.items() if isinstance(value, list | tuple)]
    return statement.bindparams(*(bindparam(name, expanding=True) for name in lists))


def _explained(exc: Exception, url: "URL", clock: _Clock) -> SourceError:
    found = str(getattr(exc, "orig", None) or exc).strip().split("\n")[0]
    if url.password:
        found = found.replace(str(url.password), "***")
    interrupted = ("interrupted", "statement timeout", "maximum statement execution time")
    if any(text in found for text in (*interrupted, "max_statement_time")):
        problem = f"the query timed out after {clock.seconds:g} seconds"
        return SourceError(problem, fix="raise 'timeout', or ask for less", key="timeout")
    if "not authorized" in found or "prohibited" in found:
        return SourceError(f"the query does more than read: {found}", fix="write one SELECT")
    return SourceError(f"the database says: {found}", fix="mend the query or the URL")


def _filled(part: str | None) -> str | None:
    return _VARIABLE.sub(_value, part) if part else None


def _query_value(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return _VARIABLE.sub(_value, value)
    return tuple(_VARIABLE.sub(_value, each) for each in value)


def _value(variable: "re.Match[str]") -> str:
    name = variable[1]
    if name not in os.environ:
        fix = f"export {name}=... before the command"
        raise UsageError(f"the environment variable {name} is not set", fix=fix, key="url")
    return os.environ[name]
