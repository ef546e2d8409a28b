"""Shards: one job in parts, and the run that they are merged into."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_line, textmill
from jobs import job_data, loaded_job, prompt_text, write_job

from pipelines.folder import RunFolder
from pipelines.launch import Options, find_run, launch
from pipelines.merging import Merge, merge
from pipelines.rows import digest
from pipelines.sharding import Shard
from prompts.errors import UsageError

EXPORTS = [
    {"kind": "hf_dataset", "splits": {"train": 0.75, "test": 0.25}},
    {"kind": "jsonl"},
]
SAMPLE = {"strategy": "sample", "n": 2}
FILTERED: list[dict[str, Any]] = [
    {
        "kind": "generate",
        "model": "writer",
        "prompt": "ask",
        "adds": "question",
        "decoding": SAMPLE,
    },
    {"kind": "length", "field": "question", "unit": "words", "max": 8},
    {"kind": "generate", "model": "writer", "prompt": "reply", "adds": "answer"},
]


def shards(folder: Path, total: int, **changes: Any) -> list[RunFolder]:
    loaded = loaded_job(folder, **changes)
    made = []
    for number in range(1, total + 1):
        path = folder / f"shard-{number}"
        ledger = folder / f"ledger-{number}"
        launch(loaded, path, Options(ledger, shard=Shard(number, total)))
        made.append(RunFolder(path))
    return made


def merged(folder: Path, parts: list[RunFolder], **how: Any) -> RunFolder:
    return merge(parts, folder / "merged", Merge(**how), Options())


def files(run: Path) -> dict[str, bytes]:
    """All files of a run but those that say how it was made."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in {".lock", ".timing.jsonl"}
    }


@pytest.mark.parametrize("rows", [None, 23])
@pytest.mark.parametrize("total", [1, 4])
def test_merged_shards_are_the_run_without_shards(
    tmp_path: Path, total: int, rows: int | None
) -> None:
    lines = [json.dumps({"topic": f"topic {n}"}) for n in range(40)]
    (tmp_path / "seeds.jsonl").write_text("\n".join([*lines[:20], "{broken", *lines[20:]]))
    settings: dict[str, Any] = {
        "rows": rows,
        "passes": 6 if rows else None,
        "stages": FILTERED,
        "sources": [{"kind": "records", "path": "seeds.jsonl"}],
        "exports": EXPORTS,
    }
    whole = launch(loaded_job(tmp_path, **settings), tmp_path / "whole", Options())
    run = merged(tmp_path, list(reversed(shards(tmp_path, total, **settings))))
    assert whole.run.counts[2]["rejected"]
    assert whole.run.stop == ("quota" if rows else "sources")
    assert files(run.path) == files(tmp_path / "whole")


def test_every_source_row_is_in_one_shard() -> None:
    ids = [digest(n) for n in range(2000)]
    owners = [[s for s in range(1, 8) if Shard(s, 7).owns(one)] for one in ids]
    assert {len(found) for found in owners} == {1}
    sizes = [sum(found == [s] for found in owners) for s in range(1, 8)]
    assert min(sizes) > 230


def test_duplicates_of_different_shards_are_found_when_they_are_merged(tmp_path: Path) -> None:
    records = [{"topic": f"topic {n % 10}", "n": n} for n in range(40)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, records)))
    settings: dict[str, Any] = {
        "models": {},
        "prompts": {},
        "stages": [{"kind": "dedup", "field": "topic", "method": "exact"}],
        "sources": [{"kind": "records", "path": "seeds.jsonl"}],
    }
    parts = shards(tmp_path, 4, **settings)
    assert sum(part.manifest()["rows"] for part in parts) > 10
    run = merged(tmp_path, parts)
    assert sorted(row.data["topic"] for row in run.rows()) == [f"topic {n}" for n in range(10)]
    last, quota = run.manifest()["stages"][-2:]
    assert (last["stage"], last["out"], quota["out"]) == ("merge:dedup", 10, 10)
    entering = run.manifest()["stages"][0]["in"]
    assert entering == 40 == run.manifest()["rows"] + run.manifest()["rejected"]
    run.verify()


def test_a_shard_is_resumed_as_itself(tmp_path: Path) -> None:
    job = write_job(tmp_path, job_data())
    words = ("run", str(job), "--out", "part", "--no-progress")
    assert textmill(tmp_path, *words, "--shard", "2/3").code == 0
    before = files(tmp_path / "part")
    (tmp_path / "part" / "manifest.json").unlink()
    assert textmill(tmp_path, "resume", "part", "--no-progress").code == 0
    assert files(tmp_path / "part") == before
    other = textmill(tmp_path, *words, "--shard", "1/3")
    assert other.code == 2
    assert_line(
        other.err, "part: the run there was begun as shard 2/3; fix: give --out a new folder"
    )


def test_shards_end_below_the_quota_without_an_error_and_say_what_they_do_not_see(
    tmp_path: Path,
) -> None:
    dedup = {"kind": "dedup", "field": "topic", "method": "exact"}
    job = write_job(tmp_path, job_data(rows=30, stages=[dedup], models={}, prompts={}))
    ended = textmill(tmp_path, "run", str(job), "--out", "p", "--shard", "1/2", "--no-progress")
    assert ended.code == 0
    assert "these stages see the rows of this shard only: dedup" in ended.err
    assert find_run(str(tmp_path / "p")).manifest()["exports"] == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("shard-1", "shard-2", "shard-4"), "shard 3/4 missing; fix: name it too, or make it:..."),
        (("shard-1",), "shards 2/4, 3/4, 4/4 missing; fix: ..."),
        (("shard-1", "whole"), "whole: is no shard, and others are; fix: ..."),
        (("shard-1", "other"), "shard-1: is shard 1/4, and others are of 3; fix: ..."),
        (("shard-1", "again"), "again: is shard 1/4, and so is shard-1; fix: ..."),
        (
            ("shard-1", "edited", "shard-3", "shard-4"),
            "edited: is a shard of another job than shard-1; these keys differ: seed; fix: ...",
        ),
        (
            ("shard-1", "newer", "shard-3", "shard-4"),
            "newer: was made with textmill 9.0, not ... as shard-1 was; fix: make all shards...",
        ),
    ],
)
def test_shards_that_do_not_fit_together_are_refused(
    tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    shards(tmp_path, 4, stages=[])
    loaded = loaded_job(tmp_path, stages=[])
    launch(loaded, tmp_path / "whole", Options())
    launch(loaded, tmp_path / "other", Options(shard=Shard(2, 3)))
    launch(loaded, tmp_path / "again", Options(shard=Shard(1, 4)))
    launch(loaded, tmp_path / "newer", Options(shard=Shard(2, 4)))
    newer = RunFolder(tmp_path / "newer")
    newer.write_manifest({**newer.manifest(), "textmill": "9.0"})
    launch(loaded_job(tmp_path, stages=[], seed=4), tmp_path / "edited", Options(shard=Shard(2, 4)))
    ended = textmill(tmp_path, "merge", *words, "--out", "all")
    assert ended.code == 2
    assert_line(ended.err, line)
    assert not (tmp_path / "all").exists()


def remade(part: RunFolder, changes: dict[str, Any]) -> RunFolder:
    """The shard, with keys of its manifest as another machine would have written them."""
    manifest = part.manifest()
    for path, value in changes.items():
        *way, last = path.split("/")
        place = manifest
        for key in way:
            place = place[key]
        place[last] = value
    part.write_manifest(manifest)
    return part


WRITER = "of the model 'writer', not"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": 2}, "run format 2, not 1"),
        ({"models/writer/revision": "b1"}, f"revision b1 {WRITER} None"),
        ({"models/writer/model": "gpt"}, f"model gpt {WRITER} scripted"),
        (
            {"models/writer/fingerprint": "0" * 64},
            "other weights, or another decode loop, of the model 'writer'",
        ),
    ],
)
def test_shards_by_other_models_are_refused(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    one, two = shards(tmp_path, 2, block=40, stages=FILTERED[:1])
    with pytest.raises(UsageError) as caught:
        merge([one, remade(two, changes)], tmp_path / "all", Merge(), Options(allow_changes=True))
    assert caught.value.problem == f"was made with {problem} as {one.path} was"
    assert caught.value.fix == "make all shards with one version and the same models"
    assert caught.value.file == two.path


@pytest.mark.parametrize(
    ("changes", "skew"),
    [
        ({"versions/torch": "1.0"}, "torch 1.0, not {torch}"),
        ({"machine": "abacus"}, "machine abacus, not {machine}"),
        (
            {"models/writer/dtype": "float32", "models/writer/fingerprint": "0" * 64},
            f"dtype float32 {WRITER} None",
        ),
    ],
)
def test_shards_of_other_machines_are_merged_where_that_is_allowed_and_it_is_said(
    tmp_path: Path, changes: dict[str, Any], skew: str, caplog: pytest.LogCaptureFixture
) -> None:
    exports = [{"kind": "hf_dataset"}]
    one, two = shards(tmp_path, 2, block=40, stages=FILTERED[:1], exports=exports)
    manifest = one.manifest()
    skew = skew.format(torch=manifest["versions"]["torch"], machine=manifest["machine"])
    remade(two, changes)
    words = ("merge", "shard-1", "shard-2", "--out", "all")
    refused = textmill(tmp_path, *words)
    assert refused.code == 2
    assert_line(
        refused.err,
        f"shard-2: was made with {skew} as shard-1 was: its rows may differ in their bytes; "
        "fix: make it where the others were made, or give --allow-changes",
    )
    assert not (tmp_path / "all").exists()
    assert textmill(tmp_path, *words, "--allow-changes").code == 0
    assert f"shard-2 was made with {skew} as shard-1 was" in caplog.text
    assert find_run(str(tmp_path / "all")).manifest()["changed"] == [f"shard 2/2 with {skew}"]
    assert f"shard 2/2 with {skew}" in (tmp_path / "all" / "dataset" / "README.md").read_text()


def test_other_packages_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = shards(tmp_path, 2, stages=[])
    version = one.manifest()["versions"]["numpy"]
    run = merged(tmp_path, [one, remade(two, {"versions/numpy": "0.1"})])
    assert f"{two.path} was made with numpy 0.1, not {version} as" in caplog.text
    assert "changed" not in run.manifest()


def test_a_shard_of_other_files_is_refused(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    settings: dict[str, Any] = {
        "stages": [],
        "sources": [{"kind": "records", "path": "seeds.jsonl"}],
    }
    seeds.write_text('{"topic": "a"}\n{"topic": "b"}\n')
    one = launch(loaded_job(tmp_path, **settings), tmp_path / "one", Options(shard=Shard(1, 2)))
    seeds.write_text('{"topic": "a"}\n{"topic": "c"}\n')
    two = launch(loaded_job(tmp_path, **settings), tmp_path / "two", Options(shard=Shard(2, 2)))
    with pytest.raises(UsageError, match="is not what it was for"):
        merged(tmp_path, [RunFolder(one.folder), RunFolder(two.folder)])


@pytest.mark.parametrize("budget", ["calls", "minutes"])
def test_what_is_counted_over_all_rows_is_refused(tmp_path: Path, budget: str) -> None:
    job = write_job(tmp_path, job_data(budget={budget: 5}))
    ended = textmill(tmp_path, "run", str(job), "--out", "p", "--shard", "1/2", "--no-progress")
    assert ended.code == 2
    assert_line(ended.err, f"budget.{budget}: cannot be kept by shards; fix: ...")


@pytest.mark.parametrize("text", ["0/4", "5/4", "1-4", "4", "1/0"])
def test_a_shard_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    job = write_job(tmp_path, job_data())
    ended = textmill(tmp_path, "run", str(job), "--shard", text)
    assert ended.code == 2
    assert_line(ended.err, f"--shard: '{text}' is no shard; fix: ...")


def test_the_name_and_exports_of_the_merged_run_can_be_set(tmp_path: Path) -> None:
    prompts = {"ask": prompt_text("{{ topic }}", ["topic"])}
    parts = shards(tmp_path, 2, stages=[], prompts=prompts)
    run = merged(tmp_path, parts, settings=("name=both", "exports=[{kind: jsonl}]"))
    assert run.manifest()["job"]["name"] == "both"
    assert [entry["kind"] for entry in run.manifest()["exports"]] == ["jsonl"]


def test_a_shard_that_died_before_it_had_begun_leaves_no_share_behind(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".shard").write_text("2/4\n")
    done = launch(loaded_job(tmp_path, stages=[]), run, Options())
    assert done.shard is None
    assert done.run.accepted == 40
