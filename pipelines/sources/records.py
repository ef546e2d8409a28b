"""`records`: rows that exist already, from JSON Lines, CSV or Parquet, told by the file's ending.

    - {kind: records, path: questions.jsonl, columns: {question: q}, key: id}

    {"id": 7, "q": "When?"}  ->  Seed(data={"question": "When?"}, key="7")

Files are read as a stream. CSV cells stay text to the letter, formulas too. What Parquet holds and
JSON does not is converted: dates and times to ISO 8601, decimals to their digits, bytes to the
UTF-8 text they hold, NaN to null; other bytes and infinite numbers make the record a rejected one.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from chains.loading.base import Unreadable
from pipelines.rows import digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.compressed import CODECS, expanded
from pipelines.sources.files import AnyPaths, File, find_files, hash_files, open_file
from pipelines.sources.stream import first_file, require_some
from pipelines.sources.tables import Record, read_csv, read_jsonl, read_parquet
from pipelines.sources.values import ColumnChoice, missing_columns, record_seed
from pipelines.sources.where import Where, check_where, matcher
from prompts.errors import SourceError

SUFFIXES = (".csv", ".gz", ".jsonl", ".ndjson", ".parquet", ".tsv", ".zst")

_PACKED = (".csv", ".jsonl", ".ndjson", ".tsv")  # what may stand before .gz and .zst

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LOOK = 1000  # records of a file that are looked at for its columns


@SOURCES.register
class Records(Source):
    """Records of `.jsonl`, `.ndjson`, `.csv`, `.tsv` and `.parquet` files.

    All but Parquet may be compressed: `.jsonl.gz`, `.csv.zst`.

    Attributes:
        path: A file, a folder, a glob pattern, or a list of them.
        columns: The columns to take: `{new: old}`, or a list of names; left out, all.
        key: A column whose value names the record, so that an edit to its other columns leaves its
            name alone. It need not be among `columns`.
        delimiter: Of CSV; left out, a comma, or a tab for `.tsv`.
        where: Which records are taken; see `pipelines.sources.where`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    kind: Literal["records"] = "records"
    path: AnyPaths
    choice: ColumnChoice = Field(default=None, alias="columns")
    key: str = ""
    delimiter: Annotated[str, Field(max_length=1)] = ""
    where: Where = {}

    def columns(self, view: SourceView) -> set[str]:
        """Those of `columns`; else those of the first records of the first file that has any.

        Raises:
            SourceError: Nothing is readable, or a column that the job names is not there.
        """
        first_file(find_files(self.path, view, SUFFIXES), self.path)
        file, known = self._look(view)
        missing = missing_columns(self.choice, self.key, known)
        if missing:
            fix = f"its columns: {', '.join(known)}"
            raise SourceError(f"no column '{missing[0]}' in '{file}'", fix=fix, key="columns")
        check_where(self.where, known, file)
        return set(self.choice or known)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """One seed a record, file by file."""
        yield from require_some(self._read(view), self.path, where=bool(self.where))

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the files' names and bytes and with what is taken from them."""
        settings = self.model_dump(mode="json", exclude={"path"})
        return digest(settings, hash_files(find_files(self.path, view, SUFFIXES)))

    def _look(self, view: SourceView) -> tuple[str, list[str]]:
        """The first file that holds records, and all columns of its first ones."""
        for file in find_files(self.path, view, SUFFIXES):
            if isinstance(file, File):
                known: dict[str, None] = {}
                for record in islice(self._records(file, []), _LOOK):
                    if not isinstance(record.content, Unreadable):
                        known |= dict.fromkeys(record.content)
                if known:
                    return file.name, list(known)
        for _ in self.read(view):  # ends in the error that says what is wrong with them all
            pass
        raise SourceError("nothing can be read", fix="give another path")

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        wanted = [*missing_columns(self.choice, self.key, []), *self.where]
        taken = matcher(self.where)
        for file in find_files(self.path, view, SUFFIXES):
            if isinstance(file, BadSeed):
                yield file
                continue
            place = None
            for place, content in self._records(file, wanted if self.choice else []):
                key = f"{file.name}:{place}" if place else file.name
                seed = self._seed(content, key, taken)
                if seed is not None:
                    yield seed
            if place is None:
                yield BadSeed(file.name, "empty", "no records")

    def _records(self, file: File, wanted: list[str]) -> Iterator[Record]:
        try:
            with open_file(file.path) as stream:
                suffix = file.path.suffix.lower()
                if suffix in CODECS:
                    stream, suffix = expanded(stream, suffix), _inner_suffix(file)
                if suffix == ".parquet":
                    yield from read_parquet(stream, wanted)
                elif suffix in {".jsonl", ".ndjson"}:
                    yield from read_jsonl(stream)
                else:
                    yield from read_csv(stream, self.delimiter or _DELIMITERS[suffix])
        except Unreadable as bad:
            yield Record(0, bad)
        except OSError as exc:
            yield Record(0, Unreadable("unreadable", exc.strerror or str(exc)))

    def _seed(
        self,
        content: dict[str, Any] | Unreadable,
        place: str,
        taken: Callable[[Mapping[str, Any]], bool],
    ) -> Seed | BadSeed | None:
        """The seed of a record; None where `where` leaves it out."""
        if isinstance(content, Unreadable):
            return BadSeed.of(content, place)
        try:
            return record_seed(content, self.choice, self.key) if taken(content) else None
        except Unreadable as bad:
            return BadSeed.of(bad, place)


def _inner_suffix(file: File) -> str:
    """What stands before `.gz`."""
    suffix = Path(file.path.stem).suffix.lower()
    if suffix not in _PACKED:
        listing = ", ".join(f"{inner}{file.path.suffix}" for inner in _PACKED)
        raise Unreadable("unsupported_type", f"'{file.path.name}'; read are {listing}")
    return suffix
