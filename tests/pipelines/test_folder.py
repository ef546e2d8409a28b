import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.files import dump_yaml, read_jsonl
from pipelines.folder import Progress, RunFolder
from pipelines.rows import Rejection, Row
from prompts.errors import CorruptRunError, ResourceError, RunLockedError, UsageError
from prompts.strict_yaml import read_yaml

IDENTITY = {"the job": "abc", "a source": ["def"]}


def row(number: int) -> Row:
    return Row(f"id{number}", (number,), f"id{number}", {"text": f"row {number} \u2028 \u0085 🧵"})


def run_of(folder: Path, blocks: int) -> RunFolder:
    run = RunFolder(folder)
    run.create({"name": "x"})
    with run.lock():
        progress = run.recover(IDENTITY)
        for number in range(blocks):
            progress.pulled += 2
            progress.accepted += 1
            rejected = [Rejection(row(100 + number), "bad", stage="s")]
            run.commit([row(number)], rejected, progress, {"s": [number]})
    return run


def recovered(run: RunFolder) -> Progress:
    with run.lock():
        return run.recover(IDENTITY)


def test_a_run_goes_on_where_its_last_block_ended(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 3)
    progress = recovered(run)
    assert (progress.pulled, progress.accepted, progress.cut) == (6, 3, 0)
    assert progress.state == {"s": [[0], [1], [2]]}
    assert [r.id for r in run.rows()] == ["id0", "id1", "id2"]
    assert [r["reason"] for r in run.rejected()] == ["bad"] * 3


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 2)
    assert run.rows_file.read_bytes().count(b"\n") == 2
    assert [r.data["text"] for r in run.rows()] == [row(0).data["text"], row(1).data["text"]]


@pytest.mark.parametrize("file", ["rows.jsonl", "rejected.jsonl", "progress.jsonl"])
def test_unfinished_work_is_cut_off(tmp_path: Path, file: str) -> None:
    run = run_of(tmp_path / "run", 2)
    whole = (run.path / file).read_bytes()
    with (run.path / file).open("ab") as handle:
        handle.write(b'{"half a li')
    assert recovered(run).cut == len(b'{"half a li')
    assert (run.path / file).read_bytes() == whole


def test_a_torn_record_takes_its_block_with_it(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 3)
    whole = {f: f.read_bytes() for f in (run.rows_file, run.rejected_file, run.progress_file)}
    record = whole[run.progress_file]
    last = record.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(record), 7):
        for file, content in whole.items():
            file.write_bytes(content)
        run.progress_file.write_bytes(record[:end])
        assert recovered(run).accepted == 2
        assert run.rows_file.read_bytes().count(b"\n") == 2


def test_no_flipped_byte_goes_unnoticed(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 2)
    for file in (run.rows_file, run.rejected_file, run.progress_file):
        whole = {f: f.read_bytes() for f in (run.rows_file, run.rejected_file, run.progress_file)}
        for position in range(len(whole[file])):
            damaged = bytearray(whole[file])
            damaged[position] ^= 1
            file.write_bytes(bytes(damaged))
            try:
                progress = recovered(run)
            except (CorruptRunError, UsageError):
                pass
            else:  # only the last block's record may be taken for a torn one, and is made anew
                assert file == run.progress_file
                assert progress.accepted < 2
            for f, content in whole.items():
                f.write_bytes(content)


def test_no_flipped_bit_of_a_manifest_goes_unnoticed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_manifest({"rows": 4, "exports": [{"kind": "jsonl", "share": 0.5}], "note": "\xfcber"})
    whole = run.manifest_file.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytes([whole[place] ^ 1 << bit])
            run.manifest_file.write_bytes(whole[:place] + damaged + whole[place + 1 :])
            with pytest.raises(CorruptRunError):
                run.manifest()


def test_a_shortened_file_is_damage(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 2)
    os.truncate(run.rows_file, 10)
    with pytest.raises(CorruptRunError, match=r"rows\.jsonl: is shorter than its record says: 10"):
        recovered(run)


def test_another_job_does_not_go_on_with_this_run(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 1)
    with run.lock(), pytest.raises(UsageError, match="a source changed since the run began"):
        run.recover({**IDENTITY, "a source": ["changed"]})


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists and is not a run"):
        RunFolder(tmp_path).create({"name": "x"})


def test_a_second_process_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 1)
    code = (
        "import sys; from pathlib import Path; from pipelines.folder import RunFolder\n"
        "from prompts.errors import RunLockedError\n"
        "try:\n"
        "    with RunFolder(Path(sys.argv[1])).lock(): print('held')\n"
        "except RunLockedError as exc: print(exc)\n"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    with run.lock():
        refused = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"process {os.getpid()} is writing this run" in refused
    assert free == "held\n"


def test_a_lock_within_one_process_is_refused_too(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 1)
    with run.lock(), pytest.raises(RunLockedError), RunFolder(run.path).lock():
        pass


def test_a_full_disk_leaves_what_was_committed(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from pipelines.folder import RunFolder; from prompts.errors import ResourceError\n"
        "from pipelines.rows import Row\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "run = RunFolder(Path(sys.argv[1])); run.create({'name': 'x'})\n"
        "with run.lock():\n"
        "    progress = run.recover({})\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "    try:\n"
        "        for n in range(1000):\n"
        "            run.commit([Row(f'id{n}', (n,), 'f', {'t': 'x' * 500})], [], progress, {})\n"
        "            progress.accepted = n + 1\n"
        "    except ResourceError as exc: print(exc.exit_code, exc.problem)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith("8 cannot be written")
    run = RunFolder(tmp_path / "run")
    with run.lock():
        progress = run.recover({})
    assert progress.accepted > 10
    assert len(list(run.rows())) == progress.accepted + 1  # counted after the commit above


def test_a_read_only_folder_is_an_error_of_its_own(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError):
        RunFolder(tmp_path / "run").create({"name": "x"})


@pytest.mark.parametrize(
    "value",
    [
        "no",
        "1e3",
        "012",
        "1.10",
        "2026-01-02",
        "a\nb\n",
        "null",
        "",
        " x ",
        "é🧵",
        "{a: 1}",
        "a: b",
    ],
)
def test_yaml_that_is_written_is_read_back(value: str) -> None:
    data = {"text": value, "list": [value, value], "number": 1e-05}
    assert read_yaml(dump_yaml(data), file="x").data == data


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\nnot json\n')
    with pytest.raises(CorruptRunError, match=r"x\.jsonl:2: the line is not a JSON object"):
        list(read_jsonl(tmp_path / "x.jsonl"))
