"""What users get wrong is answered with one line and an exit code.

The contract: nothing on stdout, one line `error: FILE:LINE: KEY: problem; fix: ...` on stderr, no
traceback. A bad row is rejected, and the run goes on.
"""

import json
import os
import stat
from pathlib import Path

import pytest
from command_line import assert_line, start, textmill
from mistakes import CASES, JOB, RUN, SECRET, SEEDS, Case, changed, stage, write
from mistakes.cases import Files
from mistakes.documents import BAD_DOCUMENTS, JOB_OF_DOCUMENTS, BadDocument, rights_of_others

from pipelines.files import read_jsonl
from tests.made_files import pdf

BEGINS = {3, 4, 5, 8}
"""Exit codes of what is found when a run may have begun."""
BEGUN = {"run", "cache", "ledger.sqlite"}
LONGEST = 1 << 20


def all_below(folder: Path) -> dict[str, bytes | int]:
    """The bytes of all files; of what cannot be read, or should not be, its mode and size."""
    found: dict[str, bytes | int] = {}
    for path in sorted(folder.rglob("*")):
        name, known = str(path.relative_to(folder)), path.lstat()
        plain = stat.S_ISREG(known.st_mode) and os.access(path, os.R_OK, effective_ids=True)
        if path.name in {".lock", ".timing.jsonl"} or name.startswith("ledger.sqlite-"):
            continue
        small = plain and known.st_size < LONGEST
        found[name] = path.read_bytes() if small else (known.st_mode << 64) + known.st_size
    return found


def changes(before: dict[str, bytes | int], after: dict[str, bytes | int]) -> set[str]:
    """The files and folders, of the topmost ones, in which something is not as it was."""
    names = {name for name, _ in before.items() ^ after.items()}
    return {name.partition("/")[0] for name in names}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_answered_with_one_line(case: Case, tmp_path: Path) -> None:
    with case.world(case, tmp_path) as address:
        for again in (False, True):
            before = all_below(tmp_path)
            ended = textmill(tmp_path, *case.words)
            assert_line(ended.err, case.line.replace("ADDRESS", address))
            assert "; fix: " in ended.err
            assert ended.code == case.code
            assert SECRET not in ended.err
            assert ("stage" in ended.out) if case.code == 5 else (ended.out == "")
            may_begin = case.code in BEGINS and not again
            assert changes(before, all_below(tmp_path)) <= (BEGUN if may_begin else set())


ROWS = {
    "null in a prompt": (JOB, '{"topic": null}\n', "question", "unusable", "a null value"),
    "column that this row lacks": (JOB, '{"other": 1}\n', "question", "missing_column", "topic"),
    "text of nothing but spaces": (
        changed('"Ask about {{ topic }}."', '"{{ topic }}"'),
        '{"topic": "  "}\n',
        "question",
        "unusable",
        "the message is empty",
    ),
    "longer than the window": (
        JOB,
        json.dumps({"topic": "word " * 9000}) + "\n",
        "question",
        "context_overflow",
        "tokens, the window holds 8192",
    ),
    "prompt beyond the largest": (
        JOB,
        json.dumps({"topic": "word" * 250_000}) + "\n",
        "question",
        "unusable",
        "more than 1,000,000 characters",
    ),
    "line that is not JSON": (JOB, "{bad\n", "source:records", "bad_json", "seeds.jsonl:1"),
    "expression that would never end": (
        stage("kind: pattern, field: topic, forbid: ['(a|aa)+$']"),
        json.dumps({"topic": "a" * 60 + "!"}) + "\n",
        "pattern",
        "pattern_too_slow",
        "(a|aa)+$",
    ),
}


@pytest.mark.parametrize(("job", "seed", "at", "reason", "found"), ROWS.values(), ids=ROWS.keys())
def test_one_bad_row_is_rejected_and_the_run_goes_on(
    job: str, seed: str, at: str, reason: str, found: str, tmp_path: Path
) -> None:
    write(tmp_path, {"job.yaml": job.replace("rows: 4\n", ""), "seeds.jsonl": seed + SEEDS})
    ended = textmill(tmp_path, *RUN)
    assert (ended.code, ended.err) == (0, "")
    [record] = read_jsonl(tmp_path / "run/rejected.jsonl")
    assert len(list(read_jsonl(tmp_path / "run/rows.jsonl"))) == 6
    assert (record["stage"], record["reason"]) == (at, reason)
    assert found in json.dumps([record["detail"], record["data"]])


@pytest.mark.parametrize("bad", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
def test_one_bad_document_is_rejected_and_the_others_are_read(
    bad: BadDocument, tmp_path: Path
) -> None:
    job = JOB_OF_DOCUMENTS.replace("rows: 4\n", "")
    write(tmp_path, {"job.yaml": job, "docs/good.md": "Grass is green.\n"})
    bad.put(tmp_path)
    with rights_of_others():
        ended = textmill(tmp_path, *RUN)
    assert ended.code == 0, ended.err
    [row] = read_jsonl(tmp_path / "run/rows.jsonl")
    assert row["data"]["document"] == "good.md"
    [record] = read_jsonl(tmp_path / "run/rejected.jsonl")
    assert (record["reason"], record["data"]["key"]) == (bad.reason, bad.name)


FINE: dict[str, tuple[str, Files]] = {
    "braces of JSON in a prompt": (
        changed("Ask about {{ topic }}.", 'Write {\\"a\\": {\\"b\\": 1}} on {{ topic }}.'),
        {},
    ),
    "half of a surrogate pair": (JOB, {"seeds.jsonl": '{"topic": "a \\ud83d b"}\n' + SEEDS}),
    "separators of lines inside a text": (
        JOB,
        {"seeds.jsonl": '{"topic": "a \u2028\x85 b"}\n' + SEEDS},
    ),
    "document in UTF-16": (
        JOB_OF_DOCUMENTS,
        {"docs/a.txt": "Grass is green.\n\nSo is moss.".encode("utf-16")},
    ),
    "PDF of itself": (
        JOB_OF_DOCUMENTS,
        {"docs/a.pdf": pdf("One.").replace(b"/Kids [ ", b"/Kids [ 1 0 R ")},
    ),
}


@pytest.mark.parametrize(("job", "files"), FINE.values(), ids=FINE.keys())
def test_what_only_looks_like_a_mistake_just_works(job: str, files: Files, tmp_path: Path) -> None:
    once = job.replace("rows: 4\n", "")
    write(tmp_path, {"seeds.jsonl": SEEDS, "job.yaml": once, **files})
    ended = textmill(tmp_path, *RUN)
    assert (ended.code, ended.err) == (0, "")
    rows = list(read_jsonl(tmp_path / "run/rows.jsonl"))
    assert len(rows) >= 1
    assert (tmp_path / "run/rejected.jsonl").read_bytes() == b""


def test_a_reply_that_never_fits_its_form_is_rejected_with_its_text(tmp_path: Path) -> None:
    job = changed(
        "{model: scripted}",
        "{model: scripted, replies: [Blue.]}",
        "    messages:",
        "    output: {form: json}\n    messages:",
        "rows: 4\n",
        "",
    )
    write(tmp_path, {"job.yaml": job, "seeds.jsonl": SEEDS})
    assert textmill(tmp_path, *RUN).code == 0
    rejected = list(read_jsonl(tmp_path / "run/rejected.jsonl"))
    assert [record["detail"]["reply"] for record in rejected] == ["Blue."] * 6
    assert {record["attempts"] for record in rejected} == {3}


PLUGIN = """
from typing import Literal
from pipelines.rows import Outcome, Row
from pipelines.stages import STAGES, Map

@STAGES.register
class Raises(Map):
    kind: Literal["raises"] = "raises"
    error: str

    def apply(self, row: Row) -> Outcome:
        if row.data["topic"] == "topic 2":
            raise {"memory": MemoryError, "value": ValueError}[self.error](f"at {object()}")
        return row
"""


def job_that_raises(error: str) -> str:
    """The job without a quota, and with a stage of the user's own that raises on one row."""
    job = stage(f"kind: raises, error: {error}").replace("rows: 4\n", "")
    return job + "plugins: [raising_plugin]\n"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"seeds.jsonl": SEEDS, "raising_plugin.py": PLUGIN})
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugin")
def test_a_row_that_makes_a_stage_raise_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": job_that_raises("value")})
    ended = textmill(tmp_path, *RUN)
    assert (ended.code, ended.err) == (0, "")
    [record] = read_jsonl(tmp_path / "run/rejected.jsonl")
    assert (record["stage"], record["reason"]) == ("raises", "failed")
    message = "at <object object at 0x...>"  # without the address, which no two runs share
    assert record["detail"] == {"error": "ValueError", "message": message}
    assert len(list(read_jsonl(tmp_path / "run/rows.jsonl"))) == 5


@pytest.mark.usefixtures("plugin")
def test_lack_of_memory_ends_the_run(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": job_that_raises("memory")})
    ended = textmill(tmp_path, *RUN)
    assert_line(ended.err, "out of memory; fix: use a smaller block or model")
    assert (ended.code, ended.out) == (8, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ("prompts", "list"),
        ("ls", ".", "--json"),
        ("preview", "job.yaml", "--ledger", "l.sqlite"),
        RUN,
    ],
)
def test_a_reader_that_goes_away_ends_a_command_quietly(
    words: tuple[str, ...], unbuffered: str, tmp_path: Path
) -> None:
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    reader, writer = os.pipe()
    os.close(reader)
    process = start(tmp_path, *words, stdout=writer, PYTHONUNBUFFERED=unbuffered)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Error" not in err


def test_a_run_without_a_terminal_shows_no_bar_and_no_colours(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    process = start(tmp_path, *RUN)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert "\r" not in out


def test_a_mistake_in_a_process_of_its_own(tmp_path: Path) -> None:
    process = start(tmp_path, "run", "nowhere.yaml")
    out, err = process.communicate(timeout=60)
    assert_line(err, "nowhere.yaml: no such job file; ...")
    assert (process.returncode, out) == (2, "")


def test_debug_shows_the_traceback_and_keeps_line_and_code(tmp_path: Path) -> None:
    ended = textmill(tmp_path, "run", "nowhere.yaml", "--debug")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.splitlines()[-1].startswith("error: nowhere.yaml: no such job file; fix: ")
    assert ended.code == 2


def test_an_error_line_cannot_give_orders_to_a_terminal(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": JOB + '"\\e[2Jname": x\n', "seeds.jsonl": SEEDS})
    ended = textmill(tmp_path, "run", "job.yaml")
    assert_line(ended.err, "job.yaml:16: \ufffd[2Jname: unknown key '\ufffd[2Jname'; ...")
