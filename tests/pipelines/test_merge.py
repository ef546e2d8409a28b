import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_line, textmill
from jobs import SEEDS, files_of, job_data, launched, write_job

from pipelines.folder import RunFolder, open_run
from pipelines.launch import Options
from pipelines.merging import Merge, merge, united
from pipelines.rows import digest

SPLIT = {"kind": "hf_dataset", "splits": {"train": 0.75, "test": 0.25}}


def part(folder: Path, run: str, first: int, count: int, **changes: Any) -> RunFolder:
    """A finished run over some of the topics."""
    source = records(folder, SEEDS[first : first + count])
    data = {"models": {}, "prompts": {}, "sources": [source], "stages": [], **changes}
    return RunFolder(launched(folder, run, **data).folder)


def merged(folder: Path, parts: list[RunFolder], how: Merge | None = None) -> RunFolder:
    return merge(parts, folder / "merged", how or Merge(), Options())


def funnel(run: RunFolder) -> list[tuple[str, int, int, int, dict[str, int]]]:
    keys = ("stage", "in", "created", "out", "rejected")
    return [tuple(entry[key] for key in keys) for entry in run.manifest()["stages"]]


def topics(run: RunFolder) -> list[str]:
    return [row.data["topic"] for row in run.rows()]


def test_rows_of_all_parts_are_there_once_and_the_funnel_says_so(tmp_path: Path) -> None:
    parts = [part(tmp_path, "a", 0, 10), part(tmp_path, "b", 8, 10)]
    run = merged(tmp_path, parts)
    assert sorted(topics(run)) == sorted(SEEDS[:18])
    assert funnel(run) == [
        ("run:1", 0, 10, 10, {}),
        ("run:2", 0, 10, 10, {}),
        ("merge", 20, 0, 18, {"same_row": 2}),
    ]
    assert run.manifest()["rows"] == 18
    rejected = list(run.rejected())
    assert {r["data"]["topic"] for r in rejected} == set(SEEDS[8:10])
    for record in rejected:
        assert record["stage"] == "merge"
        assert record["detail"] == {"part": 1}
        assert record["order"].startswith("2.")
        assert record["history"][-1] == {"stage": "merge", "part": 2}


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    near = {"kind": "dedup", "field": "topic", "threshold": 0.5}
    parts = [part(tmp_path, n, 4 * i, 12, stages=[near]) for i, n in enumerate("abc")]
    run = merged(tmp_path, parts)
    entering = Counter(row.id for p in parts for row in p.rows())
    leaving = Counter(row.id for row in run.rows())
    leaving.update(record["id"] for record in run.rejected())
    assert leaving == entering
    assert max(Counter(row.id for row in run.rows()).values()) == 1
    run.verify()


def test_what_another_seed_made_of_the_same_source_row_stays_in_its_family(tmp_path: Path) -> None:
    def labelled(name: str, label: str) -> RunFolder:
        prompts = {"tell": "variables: {topic: t}\nmessages: [{role: user, content: '{{topic}}'}]"}
        models = {"writer": {"model": "scripted", "replies": [label]}}
        stage = {"kind": "generate", "model": "writer", "prompt": "tell", "adds": "text"}
        return part(tmp_path, name, 0, 4, models=models, prompts=prompts, stages=[stage])

    run = merged(tmp_path, [labelled("a", "One."), labelled("b", "Two."), labelled("c", "Two.")])
    rows = list(run.rows())
    assert Counter(row.data["text"] for row in rows) == {"One.": 4, "Two.": 4}
    assert len({row.id for row in rows}) == 8
    assert len({row.family for row in rows}) == 4
    assert funnel(run)[3] == ("merge", 12, 0, 8, {"same_row": 4})
    second = rows[4]
    assert second.id == digest(second.family, "merge", digest(second.data))


def test_stages_dedup_of_the_jobs_compare_rows_of_different_parts(tmp_path: Path) -> None:
    exact = {"kind": "dedup", "field": "topic", "method": "exact"}
    other = part(tmp_path, "b", 0, 0, sources=[records(tmp_path, ["Topic 3!", "tea"])])
    run = merged(tmp_path, [part(tmp_path, "a", 0, 5, stages=[exact]), other])
    assert topics(run)[5:] == ["tea"]
    assert funnel(run)[-1] == ("merge:dedup", 7, 0, 6, {"duplicate": 1})
    twin = next(row.id for row in run.rows() if row.data["topic"] == "topic 3")
    assert next(run.rejected())["detail"] == {"twin": twin, "similarity": 1.0}


def records(folder: Path, texts: list[str]) -> dict[str, Any]:
    file = folder / f"{digest(texts)}.jsonl"  # as its path is in the job
    file.write_text("".join(json.dumps({"topic": text}) + "\n" for text in texts), "utf-8")
    return {"kind": "records", "path": file.name}


def test_dedup_by_a_column_takes_the_place_of_the_jobs_stages(tmp_path: Path) -> None:
    exact = {"kind": "dedup", "field": "topic", "method": "exact"}
    where = "in the garden behind the old house by the river"
    texts = [f"The tea is served at four {where}.", f"The tea is served at five {where}."]
    parts = [
        part(tmp_path, name, 0, 0, sources=[records(tmp_path, [text])], stages=[exact])
        for name, text in zip("ab", texts, strict=True)
    ]
    assert merge(parts, tmp_path / "one", Merge(), Options()).manifest()["rows"] == 2
    run = merge(parts, tmp_path / "two", Merge(dedup=("topic",)), Options())
    assert funnel(run)[-1][0] == "merge:topic"
    assert funnel(run)[-1][4] == {"near_duplicate": 1}


def test_two_stages_of_one_name_with_other_settings_are_both_applied(tmp_path: Path) -> None:
    stages = [{"kind": "dedup", "field": "topic", "threshold": t} for t in (0.8, 0.8, 0.9)]
    parts = [
        part(tmp_path, name, 10 * index, 3, stages=[stage])
        for index, (name, stage) in enumerate(zip("abc", stages, strict=True))
    ]
    names = [entry[0] for entry in funnel(merged(tmp_path, parts))]
    assert names == ["run:1", "run:2", "run:3", "merge", "merge:dedup", "merge:dedup-2"]


def test_splits_are_made_anew_and_no_family_is_divided(tmp_path: Path) -> None:
    parts = [part(tmp_path, "a", 0, 20, exports=[SPLIT]), part(tmp_path, "b", 10, 20)]
    run = merged(tmp_path, parts)
    assert run.manifest()["exports"] == [
        {"kind": "hf_dataset", "path": "dataset", "splits": {"train": 23, "test": 7}}
    ]
    card = (run.dataset / "README.md").read_text(encoding="utf-8")
    assert "| run:2 | run | 0 | 20 | 20 | none |" in card


def test_name_and_exports_of_the_new_run_can_be_set(tmp_path: Path) -> None:
    parts = [part(tmp_path, "a", 0, 5), part(tmp_path, "b", 5, 5)]
    how = Merge(settings=("name=both", "exports=[{kind: jsonl}]"))
    run = merged(tmp_path, parts, how)
    assert run.manifest()["job"]["name"] == "both"
    assert len((run.path / "jsonl" / "data.jsonl").read_text("utf-8").splitlines()) == 10


def test_the_manifest_has_those_of_the_parts(tmp_path: Path) -> None:
    parts = [part(tmp_path, "a", 0, 5), part(tmp_path, "b", 5, 5, name="other")]
    records = merged(tmp_path, parts).manifest()["parts"]
    for record, run in zip(records, parts, strict=True):
        manifest = run.manifest()
        assert record["job"] == manifest["job"]
        assert record["stages"] == manifest["stages"]
        assert record["resolved"]["name"] == manifest["job"]["name"]
    assert str(tmp_path) not in json.dumps(records)


def test_the_same_parts_give_the_same_bytes_whatever_their_folders(tmp_path: Path) -> None:
    found = []
    for room in ("x", "y"):
        (tmp_path / room).mkdir()
        names = ("a", "b") if room == "x" else ("c", "d")
        parts = [part(tmp_path / room, n, 5 * i, 9, exports=[SPLIT]) for i, n in enumerate(names)]
        found.append(files_of(merged(tmp_path / room, parts).path))
    assert found[0] == found[1]


def test_a_merged_run_is_a_run_like_any_other(tmp_path: Path) -> None:
    merged(tmp_path, [part(tmp_path, "a", 0, 5), part(tmp_path, "b", 3, 5)])
    assert textmill(tmp_path, "inspect", "merged").code == 0
    one = next(open_run(tmp_path / "merged").rows())
    assert json.loads(textmill(tmp_path, "inspect", "merged", one.id, "--json").out)["id"] == one.id
    assert textmill(tmp_path, "export", "merged", "--format", "jsonl", "--out", "j").code == 0
    again = merge(
        [open_run(tmp_path / "merged"), part(tmp_path, "c", 8, 2)],
        tmp_path / "m2",
        Merge(),
        Options(),
    )
    assert sorted(topics(again)) == sorted(SEEDS[:10])
    for command in ("resume", "verify"):
        ended = textmill(tmp_path, command, "merged")
        assert ended.code == 2
        assert_line(ended.err, "merged: the run was merged from others, ...; fix: name one of ...")


def test_the_command_shows_funnel_and_folders(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        part(tmp_path, name, 4 * number, 5, exports=[SPLIT])
    ended = textmill(tmp_path, "merge", "a", "b", "--out", "m", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["rows"] == 9
    shown = textmill(tmp_path, "merge", "a", "b", "--out", "m", "--overwrite").out
    assert "same_row 1" in shown
    assert "rows        9 of 2 runs" in shown
    assert (tmp_path / "m" / "dataset" / "README.md").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a", "--out", "m"], "one run alone cannot be merged; fix: name two or more runs"),
        (["a", "gone", "--out", "m"], "...gone: no such run; fix: ..."),
        (["a", "a", "--out", "m"], "a: is named twice; fix: name each run once"),
        (["a", "unfinished", "--out", "m"], "unfinished: the run is not finished; fix: ..."),
        (
            ["a", "other", "--out", "m"],
            "other: has other columns than a: they differ in title, topic; fix: ...",
        ),
        (
            ["a", "b", "--out", "m", "--shards"],
            "b: is not of the same job as a; these keys differ: sources; fix: ...",
        ),
        (["a", "b", "--out", "m", "--dedup", "text"], "...'text' to compare; fix: ... topic"),
        (["a", "b", "--out", "b"], "b: exists already; fix: ...--overwrite"),
        (["a", "b", "--out", "m", "--set", "rows=3"], "--set rows: cannot be set when ..."),
        (["a", "b", "--out", "m", "--set", "exports=[{kind: xml}]"], "--set exports.0...'xml'..."),
    ],
)
def test_what_cannot_be_merged(words: list[str], line: str, tmp_path: Path) -> None:
    part(tmp_path, "a", 0, 5)
    part(tmp_path, "b", 5, 5)
    titled = records(tmp_path, ["x"])
    file = tmp_path / titled["path"]
    file.write_text(file.read_text("utf-8").replace("topic", "title"), "utf-8")
    part(tmp_path, "other", 0, 0, sources=[titled])
    part(tmp_path, "unfinished", 0, 5)
    (tmp_path / "unfinished" / "manifest.json").unlink()
    before = files_of(tmp_path / "b")
    ended = textmill(tmp_path, "merge", *words)
    assert ended.code == 2
    assert_line(ended.err, line)
    assert files_of(tmp_path / "b") == before
    assert not (tmp_path / "m").exists()


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    part(tmp_path, "a", 0, 5)
    damaged = part(tmp_path, "b", 5, 5)
    text = damaged.rows_file.read_text("utf-8")
    damaged.rows_file.write_text(text.replace("topic 7", "topic 8"), "utf-8")
    ended = textmill(tmp_path, "merge", "a", "b", "--out", "m")
    assert ended.code == 6
    assert_line(ended.err, "b/rows.jsonl: its bytes are not those recorded; fix: ...")


def test_shards_of_one_job_are_merged(tmp_path: Path) -> None:
    job = write_job(tmp_path, job_data(rows=6))
    for name in ("a", "b"):
        assert textmill(tmp_path, "run", str(job), "--out", name).code == 0
    ended = textmill(tmp_path, "merge", "a", "b", "--out", "m", "--shards", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["rows"] == 6


def test_names_that_mean_something_else_in_a_later_part_are_told_apart() -> None:
    assert united([{"a": 1}, {"a": 2, "b": 3}, {"b": 3}]) == {"a": 1, "a (run 2)": 2, "b": 3}
