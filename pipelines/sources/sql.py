"""`sql`: the rows of one query to a database, read and never written.

    - {kind: sql, url: "sqlite:///shop.db", key: id, query: "SELECT id, text FROM faq ORDER BY id"}

    {"id": 7, "text": "When?"}  ->  Seed(data={"id": 7, "text": "When?"}, key="7")

Rows come in the order of the query's ORDER BY, as a stream; end it with a unique column, so that a
run that is repeated sees the same order. Without an ORDER BY they are held and sorted by what they
hold. Values are converted as for `records`.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from chains.loading.base import Unreadable
from pipelines.rows import digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.sql_connections import (
    check_secret,
    database_url,
    open_connection,
)
from pipelines.sources.sql_statement import check_select
from pipelines.sources.stream import require_some
from pipelines.sources.values import ColumnChoice, missing_columns, record_seed
from pipelines.sources.where import Scalar, Where, check_where, matcher
from prompts.errors import SourceError


@SOURCES.register
class SqlRows(Source):
    """Rows of a SQLite, PostgreSQL, MySQL or MariaDB database.

    Attributes:
        url: As SQLAlchemy writes it; `${NAME}` stands for an environment variable, and has to for
            a password. The file of a SQLite database is looked for like other paths.
        query: One SELECT; `:name` stands for a parameter.
        parameters: Their values; a list for `IN :names`.
        columns: The columns to take: `{new: old}`, or a list of names; left out, all.
        key: A column whose value names the row.
        where: Which rows are taken; see `pipelines.sources.where`. The query's own WHERE is
            quicker.
        timeout: Seconds that the database may take for the first rows, and for each thousand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    kind: Literal["sql"] = "sql"
    url: Annotated[str, Field(min_length=1)]
    query: Annotated[str, Field(min_length=1)]
    parameters: dict[str, Scalar | tuple[Scalar, ...]] = {}
    choice: ColumnChoice = Field(default=None, alias="columns")
    key: str = ""
    where: Where = {}
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 60.0

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        check_secret(url)
        return url

    def columns(self, view: SourceView) -> set[str]:
        """Those of `columns`, else all that the query gives.

        Raises:
            UsageError: The query does more than read, or URL or parameters are wrong.
            SourceError: The database cannot be read, or lacks a column.
        """
        url = database_url(self.url)
        check_select(self.query, url.get_backend_name())
        with open_connection(url, view, self.timeout) as database:
            known = database.columns(self.query, self.parameters)
        missing = missing_columns(self.choice, self.key, known)
        if missing:
            fix = f"its columns: {', '.join(known)}"
            raise SourceError(f"the query has no column '{missing[0]}'", fix=fix, key="columns")
        check_where(self.where, known, "the query")
        return set(self.choice or known)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """One seed a row."""
        yield from require_some(self._read(view), ["the query"], where=bool(self.where))

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the rows and with what is taken from them; the query is run for it."""
        content = hashlib.sha256()
        for record in self._records(view):
            content.update(_text(record).encode("utf-8", "surrogatepass"))
        settings = self.model_dump(mode="json", exclude={"url", "timeout"})
        return digest(settings, content.hexdigest())

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        taken = matcher(self.where)
        for place, record in enumerate(self._records(view), 1):
            try:
                if taken(record):
                    yield record_seed(record, self.choice, self.key)
            except Unreadable as bad:
                yield BadSeed.of(bad, f"row {place}")

    def _records(self, view: SourceView) -> Iterator[dict[str, Any]]:
        url = database_url(self.url)
        ordered = check_select(self.query, url.get_backend_name())
        with open_connection(url, view, self.timeout) as database:
            rows = database.rows(self.query, self.parameters)
            yield from rows if ordered else sorted(rows, key=_text)


def _text(record: dict[str, Any]) -> str:
    """What a row holds, as text to sort and compare it by."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, default=repr)
