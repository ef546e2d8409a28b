"""Runs that are damaged, changed, busy or not what the command takes them for."""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mistakes.cases import FIND_PATH, RESUME, RUN, Case, write
from mistakes.documents import rights_of_others
from mistakes.worlds import busy, finished

ANEW = "run/manifest.json: cannot be read; fix: python run_pipeline.py resume run writes it anew"
BYTES = "run/rows.jsonl: its bytes are not those recorded; fix: begin a new run"
CHANGED = "put it back as it was, or begin a new run with another --out"
EXPORT = ("export", "run", "--format", "jsonl", "--out", "x")
SHORT = "is shorter than its record says: 0 bytes of ...; fix: begin a new run"


def flip(path: Path, place: int) -> None:
    """Damage one bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def count_a_row_more(run: Path) -> None:
    edit(run / "manifest.json", '"rows": 4,\n  "rejected"', '"rows": 5,\n  "rejected"')


def write_header(run: Path, **changes: object) -> None:
    """Change what the first line of the run's progress says, checksum and all."""
    path = run / "progress.jsonl"
    first, _, rest = path.read_bytes().partition(b"\n")
    record = {**json.loads(first[9:]), **changes}
    body = json.dumps(record, sort_keys=True, separators=(",", ":"))
    path.write_bytes(f"{zlib.crc32(body.encode()):08x} {body}\n".encode() + rest)


def begun_elsewhere(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Make the run one that is not finished and was begun in another environment."""
    began = json.loads((run / ".environment").read_text())
    change(began)
    (run / ".environment").write_text(json.dumps(began))
    (run / "manifest.json").unlink()


def damaged(
    line: str,
    damage: Callable[[Path], object] = lambda run: None,
    words: tuple[str, ...] = RESUME,
    code: int = 6,
) -> Case:
    return Case(line, words=words, code=code, world=finished(damage))


def refused(line: str, *words: str) -> Case:
    """What is asked of a sound run."""
    return Case(line, words=words, world=finished())


@contextmanager
def read_only(case: Case, folder: Path) -> Iterator[str]:
    """A run that lacks its manifest, in a folder that may not be written to."""
    with finished(lambda run: (run / "manifest.json").unlink())(case, folder) as address:
        (folder / "run").chmod(0o500)
        with rights_of_others():
            yield address
        (folder / "run").chmod(0o700)


RESUMING = {
    "the job changed": damaged(
        "run: the run there was begun by another job; these keys differ: seed; "
        "fix: give --out a new folder; calls that did not change come from the ledger",
        lambda run: edit(run.parent / "job.yaml", "seed: 3", "seed: 4"),
        RUN,
        2,
    ),
    "a prompt changed": damaged(
        "run: the run there was begun by another job; these keys differ: prompts; ...",
        lambda run: edit(run.parent / "job.yaml", "Ask about", "Tell me of"),
        RUN,
        2,
    ),
    "a source changed": damaged(
        f"run: the source records changed since the run began; fix: {CHANGED}",
        lambda run: edit(run.parent / "seeds.jsonl", "topic 5", "topic 50"),
        code=2,
    ),
    "the source is gone": damaged(
        f"run/job.yaml:...: sources.0: no such file or folder: 'seeds.jsonl'; fix: {FIND_PATH}",
        lambda run: (run.parent / "seeds.jsonl").unlink(),
        code=3,
    ),
    "written by a newer version": damaged(
        "run: was written in format 99, this version knows 1; fix: use the version that began it",
        lambda run: write_header(run, format=99),
        code=2,
    ),
    "another job in job.yaml": damaged(
        f"run: the job changed since the run began; fix: {CHANGED}",
        lambda run: edit(run / "job.yaml", "seed: 3", "seed: 4"),
        code=2,
    ),
    "damaged job.yaml": damaged(
        "run/job.yaml:1: not YAML: ...; fix: put the file back from a copy, or begin a new run",
        lambda run: (run / "job.yaml").write_text("{"),
    ),
    "damaged rows": damaged(BYTES, lambda run: flip(run / "rows.jsonl", 30)),
    "damaged rows, exported": damaged(BYTES, lambda run: flip(run / "rows.jsonl", 30), EXPORT),
    "damaged rejections, exported": damaged(
        "run/rejected.jsonl: its bytes are not those recorded; fix: begin a new run",
        lambda run: flip(run / "rejected.jsonl", 30),
        EXPORT,
    ),
    "rows cut": damaged(
        f"run/rows.jsonl: {SHORT}", lambda run: (run / "rows.jsonl").write_bytes(b"")
    ),
    "rows gone": damaged(f"run/rows.jsonl: {SHORT}", lambda run: (run / "rows.jsonl").unlink()),
    "damaged progress": damaged(
        "run/progress.jsonl:1: the record of a block is damaged; "
        "fix: put the file back from a copy, or begin a new run",
        lambda run: flip(run / "progress.jsonl", 20),
    ),
    "damaged ledger": damaged(
        "ledger.sqlite: the ledger cannot be used: file is not a database; "
        "fix: move the file away; its calls are then paid again",
        lambda run: (run.parent / "ledger.sqlite").write_bytes(b"x" * 5000),
    ),
    "damaged manifest, exported": damaged(
        ANEW, lambda run: (run / "manifest.json").write_text("[]"), EXPORT
    ),
    "another number in the manifest, exported": damaged(ANEW, count_a_row_more, EXPORT),
    "not finished, exported": damaged(
        "run: the run is not finished; fix: go on with it first: python run_pipeline.py resume run",
        lambda run: (run / "manifest.json").unlink(),
        EXPORT,
        2,
    ),
    "another torch": damaged(
        "run: begun with torch 1.0, now ...: what is made now may differ in its bytes; "
        "fix: go on where it began, or give --allow-changes",
        lambda run: begun_elsewhere(run, lambda began: began["versions"].update(torch="1.0")),
        code=2,
    ),
    "another class of processor": damaged(
        "run: begun with machine z80, now ...; fix: ...",
        lambda run: begun_elsewhere(run, lambda began: began.update(machine="z80")),
        RUN,
        2,
    ),
    "another process writes it": Case(
        "run: process 4711 is writing this run; fix: wait until it has finished or end it",
        words=RESUME,
        code=7,
        world=busy,
    ),
    "row that is not there": refused(
        "run: no row '99' in this run; "
        "fix: give an id or an order as 'inspect RUN' and rows.jsonl show them",
        "inspect",
        "run",
        "99",
    ),
    "reason that is not there": refused(
        "--reason: unknown reason 'overquota'; fix: write 'over_quota' (known: over_quota)",
        "inspect",
        "run",
        "--reason",
        "overquota",
    ),
    "a row and rejected ones": refused(
        "a row and --rejected exclude each other; "
        "fix: leave out the row, or --rejected and --reason",
        "inspect",
        "run",
        "0",
        "--rejected",
    ),
    "--out with something else in it": damaged(
        "other: the folder exists and is not a run; fix: give --out a new or empty folder",
        lambda run: write(run.parent, {"other/x": ""}),
        ("run", "job.yaml", "--out", "other"),
        2,
    ),
    "read-only folder": Case(
        "run/jsonl: exports.0: cannot be written: Permission denied; fix: free some space or ...",
        words=RESUME,
        code=8,
        world=read_only,
    ),
}
