import json
from contextlib import chdir
from pathlib import Path
from typing import Any, Literal

import pytest
from command_line import textmill
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import job_data, loaded_job, prompt_text, write_job
from mistakes import JOB, SEEDS, write

from pipelines.files import dump_yaml
from pipelines.job import PROJECT, Job, build_job, load_job
from pipelines.rows import Row
from pipelines.stages import STAGES, Filter
from prompts.errors import SourceError, TextmillError, UsageError
from prompts.strict_yaml import read_yaml

RECIPES = sorted((PROJECT / "pipelines/recipes").glob("*.yaml"))


def error_of(job: Path, *overrides: str) -> str:
    with pytest.raises(TextmillError) as caught:
        load_job(job, overrides=list(overrides)).check()
    return str(caught.value)


def records(folder: Path, name: str, *columns: str) -> dict[str, Any]:
    """A source of one record with these columns."""
    write(folder, {name: json.dumps(dict.fromkeys(columns, "x")) + "\n"})
    return {"kind": "records", "path": name}


def test_stages_are_named_after_what_they_add_or_else_their_kind(tmp_path: Path) -> None:
    answers = {"form": "json"}
    data = job_data(
        stages=[
            *job_data()["stages"],
            {"kind": "length", "field": "answer", "min": 1},
            {"kind": "length", "field": "question", "min": 1, "name": "questions"},
            {**job_data()["stages"][0], "prompt": "both", "adds": ["first", "second"]},
        ]
    )
    data["prompts"]["both"] = prompt_text("{{ topic }}", ["topic"], output=answers["form"])
    job = load_job(write_job(tmp_path, data)).job
    assert [stage.name for stage in job.stages] == [
        "question",
        "answer",
        "length",
        "questions",
        "first",
    ]


@pytest.mark.parametrize("name", ["question", "quota"])
def test_no_two_stages_share_a_name_nor_one_that_the_funnel_needs(
    tmp_path: Path, name: str
) -> None:
    length = {"kind": "length", "field": "topic", "min": 1, "name": name}
    job = write_job(tmp_path, job_data(stages=[*job_data()["stages"], length]))
    assert f"stages.2: two stages are named '{name}'; fix: give one of them" in error_of(job)


def test_columns_flow_from_sources_through_stages_to_exports(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path)
    assert loaded.check() == {"topic", "question", "answer"}
    exports = [{"kind": "jsonl", "columns": ["answer", "topic"]}]
    assert loaded_job(tmp_path, exports=exports).check() == {"topic", "question", "answer"}
    first = error_of(write_job(tmp_path, job_data(stages=job_data()["stages"][::-1])))
    assert "stages.0.prompt: stage 'answer' needs column 'question'; fix: move it behind" in first


def test_only_columns_that_every_source_gives_can_be_relied_on(tmp_path: Path) -> None:
    sources = [records(tmp_path, "a.jsonl", "topic", "a"), records(tmp_path, "b.jsonl", "topic")]
    needs_a = {"kind": "length", "field": "a", "min": 1}
    assert loaded_job(tmp_path, sources=sources, stages=[]).check() == {"topic"}
    job = write_job(tmp_path, job_data(sources=sources, stages=[needs_a]))
    assert error_of(job).endswith(
        "stages.0: stage 'length' needs column 'a'; fix: columns at this stage: topic"
    )
    assert loaded_job(tmp_path, sources=sources[:1], stages=[needs_a]).check() == {"topic", "a"}


def test_the_columns_that_inputs_name_are_those_that_are_needed(tmp_path: Path) -> None:
    source = [records(tmp_path, "a.jsonl", "subject")]
    stage = {**job_data()["stages"][0], "inputs": {"topic": "subject"}}
    assert loaded_job(tmp_path, sources=source, stages=[stage]).check() == {"subject", "question"}


def test_a_column_is_needed_for_a_variable_only_if_some_message_uses_it(tmp_path: Path) -> None:
    prompts = {**job_data()["prompts"], "ask": prompt_text("On {{ topic }}", ["topic", "mood"])}
    assert "question" in loaded_job(tmp_path, prompts=prompts).check()


def test_errors_name_what_the_command_line_set_or_else_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    job = tmp_path / "job.yaml"
    assert error_of(job, "stages.0.attempts=0").startswith("--set stages.0.attempts: found 0")
    assert error_of(job, "stages.0.decoding.n=0").startswith("--set stages.0.decoding")
    assert error_of(job, "stages.0={kind: dedup}").startswith("--set stages.0.field: missing")
    assert error_of(job, "modles.x.model=scripted").startswith("--set modles: unknown key")
    assert error_of(job, "models={}").startswith(f"{job}:13: stages.0.model: the job has no models")
    assert error_of(job, "seed=1", "name=a/b").startswith("--set name: found 'a/b'")


def test_overrides_reach_into_lists_and_make_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    overrides = ["stages.0.decoding.strategy=greedy", "budget.calls=7", "exports.0.columns=[topic]"]
    job = load_job(tmp_path / "job.yaml", overrides=[*overrides, "rows=null"]).job.as_data()
    assert job["stages"][0]["decoding"]["strategy"] == "greedy"
    assert job["budget"]["calls"] == 7
    assert job["exports"][0]["columns"] == {"topic": "topic"}
    assert job["rows"] is None


def test_the_hash_is_that_of_the_meaning_not_of_the_text(tmp_path: Path) -> None:
    data = job_data(rows=5)
    plain = load_job(write_job(tmp_path, data)).job
    turned = dict(reversed(data.items()))
    other = tmp_path / "other.yaml"
    other.write_text("# a comment\n" + json.dumps(turned, indent=3))
    spelled_out = {**data, "block": 8, "max_reject_rate": None, "embedder": "embedded"}
    assert load_job(other).job.sha() == plain.sha()
    assert build_job(spelled_out).sha() == plain.sha()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"seed": 4},
        {"rows": 6},
        {"block": 9},
        {"passes": 2},
        {"budget": {"calls": 9}},
        {"models": {"writer": {"model": "scripted", "replies": ["Blue."]}}},
        {"prompts": {**job_data()["prompts"], "ask": prompt_text("{{ topic }}?", ["topic"])}},
        {"sources": [{"kind": "topics", "topics": ["tea"], "count": 40}]},
        {"stages": job_data()["stages"][:1]},
        {"exports": [{"kind": "jsonl"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_changes_with_every_section(tmp_path: Path, change: dict[str, Any]) -> None:
    before, after = loaded_job(tmp_path, rows=5), loaded_job(tmp_path, **{"rows": 5, **change})
    assert before.resolved().sha() != after.resolved().sha()


def test_the_resolved_hash_changes_with_the_text_of_a_prompt_file(tmp_path: Path) -> None:
    stage = {**job_data()["stages"][0], "prompt": "./ask.yaml"}
    shas = set()
    for text in ("Ask about {{ topic }}.", "Ask about {{ topic }}!"):
        write(tmp_path, {"ask.yaml": prompt_text(text, ["topic"])})
        shas.add(loaded_job(tmp_path, stages=[stage]).resolved().sha())
    assert len(shas) == 2


def reloaded(job: Job) -> Job:
    """The job that a run folder would keep of it."""
    return build_job(read_yaml(dump_yaml(job.as_data()), file="job.yaml").data)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_back_as_it_was_written(recipe: Path) -> None:
    loaded = load_job(recipe)
    loaded.check()
    resolved = loaded.resolved()
    assert reloaded(resolved) == resolved
    assert set(loaded.used_prompts()) <= set(resolved.prompts)


TRICKY = [
    "no", "1.10", "1e3", "012", "~", "", " ", "null", "2026-11-20", "a: b", "- a", "# no comment",
    "{{ topic }}", "'", '"', "\\", "a\nb", "a\n", "\na", "a\n\n\nb\n", "  indented\nless", "a \nb",
    "tab\tin it", "\ttab first", "a\r\nb", "a\u2028b", "\u2029\n", "\x85", "\x1b[31m", "\ufeff",
    "\x7f", "é", "🌍", "<<", "=", "&a", "*a", "!!str a", "---", "...", "%YAML 1.1", "a" * 300,
    "word " * 60, "x\n" * 60,
]  # fmt: skip


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_is_read_back_to_the_letter(text: str) -> None:
    data = {"texts": [text], text: text, "nested": {"deep": {"text": text}}}
    assert read_yaml(dump_yaml(data), file="x").data == data


ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.text(ANY | st.sampled_from("\n\r\t \x85\u2028\u2029'\"#:-?&*!|>%@`{}[],0123456789.e")))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_back_to_the_letter(text: str) -> None:
    data = {"text": text, "list": [text]}
    assert read_yaml(dump_yaml(data), file="x").data == data


def test_a_path_is_looked_for_here_then_beside_the_job_then_in_the_project(tmp_path: Path) -> None:
    here, jobs = tmp_path / "here", tmp_path / "jobs"
    write(here, {"both.jsonl": SEEDS, "here.jsonl": SEEDS})
    write(jobs, {"both.jsonl": SEEDS, "beside.jsonl": SEEDS, "sub/deep.jsonl": SEEDS})
    loaded = load_job(write_job(jobs, job_data()))
    with chdir(here):
        assert loaded.path("both.jsonl") == here / "both.jsonl"
        assert loaded.path("here.jsonl") == here / "here.jsonl"
        assert loaded.path("beside.jsonl") == jobs / "beside.jsonl"
        assert loaded.path("sub/*.jsonl") == jobs / "sub/*.jsonl"
        assert loaded.path("examples/handbook") == PROJECT / "examples/handbook"
        assert loaded.path(str(jobs / "both.jsonl")) == jobs / "both.jsonl"
        with pytest.raises(SourceError, match=r"no such file or folder: 'nowhere\.jsonl'"):
            loaded.path("nowhere.jsonl")
        with pytest.raises(SourceError, match=r"no such file or folder: '\*\.csv'"):
            loaded.path("*.csv")


def test_a_run_of_relative_paths_holds_no_absolute_one(tmp_path: Path) -> None:
    stage = {**job_data()["stages"][0], "prompt": "./ask.yaml"}
    dataset = {"kind": "hf_dataset", "splits": {"train": 1.0}}
    data = job_data(sources=[records(tmp_path, "jobs/a.jsonl", "topic")], stages=[stage])
    data["sources"][0]["path"] = "a.jsonl"
    write(tmp_path / "jobs", {"ask.yaml": prompt_text("Ask about {{ topic }}.", ["topic"])})
    write_job(tmp_path / "jobs", {**data, "exports": [dataset]})
    words = ("--out", str(tmp_path / "runs/one"), "--ledger", str(tmp_path / "ledger.sqlite"))
    assert textmill(tmp_path / "jobs", "run", "job.yaml", *words).code == 0
    for file in (tmp_path / "runs/one").rglob("*"):
        if file.is_file():
            assert str(tmp_path).encode() not in file.read_bytes(), file
            assert str(PROJECT).encode() not in file.read_bytes(), file


def test_a_prompt_is_the_job_s_own_before_the_library_s(tmp_path: Path) -> None:
    own = prompt_text("Mine: {{ context }}", ["context"])
    loaded = loaded_job(tmp_path, prompts={**job_data()["prompts"], "qa/question": own})
    assert loaded.prompt("qa/question").source == own
    assert loaded_job(tmp_path).prompt("qa/question").source != own


def test_a_resolved_job_needs_no_file_of_its_prompts(tmp_path: Path) -> None:
    write(tmp_path, {"ask.yaml": prompt_text("Ask about {{ topic }}.", ["topic"])})
    stage = {**job_data()["stages"][0], "prompt": "./ask.yaml"}
    resolved = loaded_job(tmp_path, stages=[stage]).resolved().as_data()
    (tmp_path / "ask.yaml").unlink()
    again = load_job(write_job(tmp_path, resolved, "resolved.yaml"))
    assert again.check() == {"topic", "question"}
    assert again.resolved().as_data() == resolved


def test_a_fault_in_a_prompt_that_the_job_holds_has_the_job_s_line(tmp_path: Path) -> None:
    write(tmp_path, {"seeds.jsonl": SEEDS, "job.yaml": JOB.replace("{{ topic }}", "{% nope %}")})
    path = tmp_path / "job.yaml"
    assert error_of(path).startswith(f"{path}:9: prompts.ask.messages.0.content: template syntax")


def test_the_first_model_is_the_one_meant_where_none_is_named(tmp_path: Path) -> None:
    models = {"a": {"model": "scripted", "replies": ["A."]}, "b": {"model": "scripted"}}
    loaded = load_job(write_job(tmp_path, job_data(models=models)))
    assert loaded.model().replies == ("A.",)
    assert loaded.model("b").replies == ()
    with pytest.raises(UsageError, match=r"stages\.0: unknown model 'c'; fix: use one of: a, b"):
        loaded.model("c", key="stages.0")


def test_a_key_is_a_reference_to_a_variable_that_must_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {"server": "http://127.0.0.1:9/v1", "model": "m", "api_key": "${TEXTMILL_TEST_KEY}"}
    job = write_job(tmp_path, job_data(models={"writer": server}))
    monkeypatch.delenv("TEXTMILL_TEST_KEY", raising=False)
    assert "models.writer.api_key: the environment variable TEXTMILL_TEST_KEY" in error_of(job)
    monkeypatch.setenv("TEXTMILL_TEST_KEY", "sk-secret")
    loaded = load_job(job)
    loaded.check()
    assert "sk-secret" not in json.dumps(loaded.resolved().as_data())


PLUGIN = """
from typing import Literal
from pipelines.rows import Row
from pipelines.stages import STAGES, Filter

@STAGES.register
class OfMyOwn(Filter):
    kind: Literal["of_my_own"] = "of_my_own"
    letter: str

    def fault(self, row: Row) -> str | None:
        return None if self.letter in row.data["topic"] else "lacks_letter"
"""


def test_a_plugin_brings_stages_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"my_plugin.py": PLUGIN})
    monkeypatch.syspath_prepend(tmp_path)
    mine = [{"kind": "of_my_own", "letter": "7"}]
    data = job_data(plugins=["my_plugin"], stages=mine, rows=4)
    job = write_job(tmp_path, data)
    assert textmill(tmp_path, "run", "job.yaml", "--out", "run").code == 0
    lines = (tmp_path / "run/rows.jsonl").read_text().splitlines()
    assert [("7" in json.loads(line)["data"]["topic"]) for line in lines] == [True] * 4
    assert "stages.0.lettre: unknown key 'lettre'" in error_of(job, "stages.0.lettre=x")


class TwiceInTheCatalogue(Filter):
    kind: Literal["dedup"] = "dedup"

    def fault(self, row: Row) -> str | None:
        return None


def test_a_plugin_cannot_take_the_place_of_a_stage() -> None:
    with pytest.raises(UsageError, match="stage 'dedup' is registered twice; fix: rename one"):
        STAGES.register(TwiceInTheCatalogue)


def test_a_job_that_would_never_end_is_refused(tmp_path: Path) -> None:
    endless = [{"kind": "topics", "topics": ["tea"]}]
    with pytest.raises(UsageError, match=r"sources\.0: the run would never end"):
        loaded_job(tmp_path, sources=endless)
    loaded_job(tmp_path, sources=endless, rows=3)
    loaded_job(tmp_path, sources=endless, budget={"calls": 3})
