"""A run folder: the files of one run; being killed at any moment loses at most one block.

    outputs/support-qa-20261120-181503-4f2a/
      job.yaml         the resolved job with the text of its prompts
      rows.jsonl       accepted rows, appended block by block
      rejected.jsonl   rejected rows, with stage and reason
      progress.jsonl   one line a committed block: how far the files are valid, counts, memory
      manifest.json    versions, hashes, counts
      dataset/         the export
      .origin          the way to the folder that the job's paths start from
      .timing.jsonl    how long each block took; not hashed, for no two runs take as long

A block is committed by appending to the two row files, flushing them to disk, and only then
appending one line to `progress.jsonl`. What lies behind the last whole line there is cut off when
the run goes on. Every line carries a checksum, and the lines carry running hashes of the row files,
so damage is found and named.
"""

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonlines

from pipelines.failpoints import reach
from pipelines.files import disk_errors, dump_yaml, read_jsonl, sync_folder, write_atomically
from pipelines.journal import framed, whole_records
from pipelines.rows import JSON, Rejection, Row, canonical, digest
from prompts.errors import CorruptRunError, RunLockedError, UsageError

FORMAT = 1
_SEAL = "sha"  # the manifest's last key
_PIECE = 1 << 20  # bytes of a file that are read at once


@dataclass(slots=True)
class Progress:
    """How far a run has come, as its last committed block says.

    Attributes:
        pulled: Items taken from the sources.
        calls: Model calls asked for, those the ledger knew included.
        accepted: Rows in `rows.jsonl`.
        counts: The funnel, one entry a stage; see `pipelines.accounting`.
        state: For each stage what it has to remember, one list a block.
        done: The stop reason of a finished run, else empty.
        cut: Bytes of unfinished work that were cut off.
    """

    pulled: int = 0
    calls: int = 0
    accepted: int = 0
    counts: list[dict[str, JSON]] = field(default_factory=list)
    state: dict[str, list[JSON]] = field(default_factory=dict)
    done: str = ""
    cut: int = 0


class RunFolder:
    """The files of one run.

    Args:
        path: The folder; `create` makes it, `open_run` expects it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job_file = path / "job.yaml"
        self.rows_file = path / "rows.jsonl"
        self.rejected_file = path / "rejected.jsonl"
        self.progress_file = path / "progress.jsonl"
        self.manifest_file = path / "manifest.json"
        self.dataset = path / "dataset"
        self._origin_file = path / ".origin"
        self._files: dict[Path, tuple[io.FileIO, Any]] = {}

    def begun(self) -> bool:
        """Whether a run has begun here; a file called job.yaml may also be the user's own."""
        marks = (self._origin_file, self.progress_file)
        return self.job_file.is_file() and any(mark.exists() for mark in marks)

    def create(
        self,
        job: Mapping[str, JSON],
        start: Path | None = None,
        marks: Mapping[str, str | None] | None = None,
    ) -> None:
        """Make the folder with its resolved job; nothing happens where a run has begun.

        Args:
            job: The resolved job, written last: with it the run has begun.
            start: The folder that the job's relative paths start from.
            marks: Names and texts of further files; None for one that must not be there, which a
                process that was killed before it had begun may have left.

        Raises:
            UsageError: The folder holds something else.
            ResourceError: It cannot be written.
        """
        if self.begun():
            return
        if self.path.exists() and any(not p.name.startswith(".") for p in self.path.iterdir()):
            fix = "give --out a new or empty folder"
            raise UsageError("the folder exists and is not a run", fix=fix, file=self.path)
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            sync_folder(self.path.resolve().parent)
        for name, text in (marks or {}).items():
            if text is None:
                (self.path / name).unlink(missing_ok=True)
            else:
                write_atomically(self.path / name, text)
        if start is not None:  # as the way there from here: a run folder holds no absolute path
            write_atomically(self._origin_file, os.path.relpath(start, self.path.resolve()))
        write_atomically(self.job_file, dump_yaml(job))

    def start(self) -> Path:
        """The folder that the job's relative paths start from; this one where that is lost."""
        try:
            way = self._origin_file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return self.path.resolve()
        return (self.path.resolve() / way).resolve()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; released by the kernel when the process dies.

        Raises:
            RunLockedError: Another process holds it; its pid is named.
        """
        with disk_errors(self.path):
            file = (self.path / ".lock").open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                file.seek(0)
                pid = file.read().strip() or "unknown"
                fix = "wait until it has finished or end it"
                problem = f"process {pid} is writing this run"
                raise RunLockedError(problem, fix=fix, file=self.path) from exc
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                self.close()

    def recover(self, identity: Mapping[str, JSON]) -> Progress:
        """Read how far the run has come, cut off unfinished work, and open the files to go on.

        Args:
            identity: What must be as it was when the run began, such as the sources' fingerprints.

        Raises:
            CorruptRunError: A file is shorter than recorded, or its bytes are not those recorded.
            UsageError: The run began with another `identity`.
        """
        records, valid = self.read_progress()
        progress = Progress()
        with disk_errors(self.path):
            progress.cut += self._open(self.progress_file, valid)
        if not records:
            with disk_errors(self.path):
                self._append(self.progress_file, framed({"format": FORMAT, **identity}))
            sizes: dict[str, JSON] = {}
        else:
            self._check_header(records[0], identity)
            sizes = records[-1] if len(records) > 1 else {}
        for record in records[1:]:
            for stage, additions in record["state"].items():
                progress.state.setdefault(stage, []).append(additions)
        if sizes:
            progress.pulled, progress.calls = sizes["pulled"], sizes["calls"]
            progress.accepted, progress.counts = sizes["accepted"], sizes["counts"]
            progress.done = sizes["done"]
        with disk_errors(self.path):
            for file in (self.rows_file, self.rejected_file):
                size, sha = sizes.get(file.name, (0, hashlib.sha256().hexdigest()))
                progress.cut += self._open(file, size, sha)
            sync_folder(self.path)  # where the files are new, so are their names
        return progress

    def commit(
        self,
        rows: Iterable[Row],
        rejected: Iterable[Rejection],
        progress: Progress,
        additions: Mapping[str, JSON],
    ) -> None:
        """Append one block and make it permanent.

        Raises:
            ResourceError: The disk is full; what was committed before is untouched.
        """
        with disk_errors(self.path):
            self._append(self.rows_file, _encode(row.as_json() for row in rows))
            self._append(self.rejected_file, _encode(item.as_json() for item in rejected))
            record = {
                "pulled": progress.pulled,
                "calls": progress.calls,
                "accepted": progress.accepted,
                "counts": progress.counts,
                "state": additions,
                "done": progress.done,
            }
            for file in (self.rows_file, self.rejected_file):
                handle, sha = self._files[file]
                record[file.name] = [handle.tell(), sha.hexdigest()]
            self._append(self.progress_file, framed(record))

    def rows(self) -> Iterator[Row]:
        """The accepted rows, from the start, in order."""
        return (Row.from_json(record) for record in read_jsonl(self.rows_file))

    def rejected(self) -> Iterator[dict[str, JSON]]:
        """The rejected rows as they are written, from the start."""
        return read_jsonl(self.rejected_file)

    def last_counts(self) -> list[dict[str, JSON]]:
        """The funnel as the last committed block left it; empty before the first."""
        records, _ = self.read_progress()
        counts: list[dict[str, JSON]] = records[-1]["counts"] if len(records) > 1 else []
        return counts

    def verify(self) -> None:
        """Check that the row files hold what was committed.

        Raises:
            CorruptRunError: They do not.
        """
        records, _ = self.read_progress()
        for file in (self.rows_file, self.rejected_file):
            size, sha = records[-1].get(file.name, (0, "")) if records else (0, "")
            data = hashlib.sha256()
            if file.exists():
                with file.open("rb") as handle:
                    for start in range(0, size, _PIECE):
                        data.update(handle.read(min(_PIECE, size - start)))
            if sha and data.hexdigest() != sha:
                problem = "its bytes are not those recorded"
                raise CorruptRunError(problem, fix="begin a new run", file=file)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, and a hash of what it says as its last key."""
        plain = json.loads(json.dumps(manifest))  # with the keys that reading it will give
        sealed = {**plain, _SEAL: digest(plain)}
        write_atomically(
            self.manifest_file, json.dumps(sealed, ensure_ascii=False, indent=2) + "\n"
        )

    def manifest(self) -> dict[str, Any]:
        """The manifest of a run that has begun, without its hash.

        Raises:
            CorruptRunError: It is missing or damaged.
        """
        try:
            loaded: dict[str, Any] = json.loads(self.manifest_file.read_text(encoding="utf-8"))
            if not isinstance(loaded, dict):
                raise ValueError("not a JSON object")
            if loaded.pop(_SEAL, None) != digest(loaded):
                raise ValueError("not what was written")
        except (OSError, ValueError) as exc:
            fix = f"python run_pipeline.py resume {self.path} writes it anew"
            raise CorruptRunError("cannot be read", fix=fix, file=self.manifest_file) from exc
        return loaded

    def close(self) -> None:
        """Close the files."""
        for handle, _ in self._files.values():
            handle.close()
        self._files.clear()

    def _check_header(self, header: Mapping[str, JSON], identity: Mapping[str, JSON]) -> None:
        if header.get("format") != FORMAT:
            problem = f"was written in format {header.get('format')}, this version knows {FORMAT}"
            raise UsageError(problem, fix="use the version that began it", file=self.path)
        for key, value in identity.items():
            if header.get(key) != value:
                fix = "put it back as it was, or begin a new run with another --out"
                raise UsageError(f"{key} changed since the run began", fix=fix, file=self.path)

    def read_progress(self) -> tuple[list[dict[str, JSON]], int]:
        """All whole records, and up to which byte they reach."""
        return whole_records(self.progress_file)

    def _open(self, file: Path, size: int, sha: str = "") -> int:
        """Open `file` for appending at `size`, what is before checked; gives the bytes cut."""
        present = file.stat().st_size if file.exists() else 0
        if present < size:
            problem = f"is shorter than its record says: {present} bytes of {size}"
            raise CorruptRunError(problem, fix="begin a new run", file=file)
        # Unbuffered, so that what a full disk refused is not tried again when the file is closed.
        handle = file.open("a+b", buffering=0)
        if present > size:
            handle.truncate(size)
        handle.seek(0)
        running = hashlib.sha256()
        while chunk := handle.read(_PIECE):
            running.update(chunk)
        if sha and running.hexdigest() != sha:
            handle.close()
            problem = "its bytes are not those recorded"
            raise CorruptRunError(problem, fix="begin a new run", file=file)
        self._files[file] = (handle, running)
        return present - size

    def _append(self, file: Path, data: bytes) -> None:
        handle, sha = self._files[file]
        reach(f"{file.stem}.before_write")
        rest = memoryview(data)
        while rest:
            rest = rest[handle.write(rest) :]
        reach(f"{file.stem}.after_write")
        sha.update(data)
        os.fsync(handle.fileno())
        reach(f"{file.stem}.after_fsync")


def open_run(path: Path) -> RunFolder:
    """The run folder at `path`.

    Raises:
        UsageError: There is none.
    """
    folder = RunFolder(path)
    if not folder.begun():
        fix = "python run_pipeline.py ls lists the runs"
        raise UsageError("no such run", fix=fix, file=path)
    return folder


def _encode(records: Iterable[Mapping[str, JSON]]) -> bytes:
    buffer = io.StringIO()
    with jsonlines.Writer(buffer, dumps=canonical) as writer:
        writer.write_all(records)
    return buffer.getvalue().encode("utf-8")
