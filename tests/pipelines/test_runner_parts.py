"""What stages may use of a run, and what a run of a shard, of a quota or with servers remembers."""

import json
from pathlib import Path
from typing import Any

import pytest
from jobs import SEEDS, launched, loaded_job, prompt_text
from test_batch_files import answered
from test_runner import StopAfter

from chains.calls import Call, Message
from chains.decoding import Greedy
from pipelines.batch_files import Posted, take_in
from pipelines.calling import Interrupted
from pipelines.job import LoadedJob
from pipelines.launch import Launched, Options, launch, open_caller
from pipelines.ledger import Ledger
from pipelines.rows import Row, seed_for
from pipelines.runner import Run, Runner, StageContext, Watch, identity
from pipelines.sharding import Shard
from pipelines.stages import Ask

CHAT = (Message("system", "Be brief."), Message("user", "Ask about tea."))


def test_a_stage_reaches_prompts_models_and_files_by_their_names(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path)
    stage = loaded.job.stages[1]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        caller = open_caller(loaded, ledger, Options())
        context = StageContext(stage, loaded, caller)
        row = Row("00ff", (0,), "00ff", {})
        assert context.seed(row) == seed_for(3, "answer", "00ff", 0, 0)
        assert context.seed(row, 2, 1) == seed_for(3, "answer", "00ff", 2, 1)
        [message] = context.chat(context.prompt("ask"), {"topic": "tea"})
        assert (message.role, message.content) == ("user", "Ask about tea.")
        label = f"writer@{caller.fingerprint('writer')[:12]}"
        assert context.model_label("writer") == label
        assert (context.count_tokens("writer", CHAT), context.window("writer")) == (7, 8192)
        assert context.spec("writer") == loaded.job.models["writer"]
        assert context.path("job.yaml") == tmp_path / "job.yaml"
        assert context.indexes() == tmp_path / "indexes"
        call = Call(CHAT, Greedy())
        assert context.answer(Ask("writer", (call,))) == caller.answer(Ask("writer", (call,)))
        assert context.answer(Ask("writer", ())) == []


def test_a_stage_makes_what_it_shares_once_for_each_key(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        caller = open_caller(loaded, ledger, Options())
        one, other = (StageContext(stage, loaded, caller) for stage in loaded.job.stages)
        made = [one.shared("a", lambda: ["a"]), one.shared("b", lambda: ["b"])]
        assert made == [["a"], ["b"]]
        assert one.shared("a", lambda: ["again"]) is made[0]
        assert other.shared("a", lambda: ["other"]) == ["other"]


def test_embeddings_come_from_the_embedder_of_the_job(tmp_path: Path) -> None:
    class Embedding:
        fingerprint = "an embedder"

    class Embeds:
        def embedder(self) -> Embedding:
            return Embedding()

        def embed(self, texts: list[str]) -> list[int]:
            return [len(text) for text in texts]

    loaded = loaded_job(tmp_path)
    context = StageContext(loaded.job.stages[0], loaded, Embeds())  # type: ignore[arg-type]
    assert context.embedder() == "an embedder"
    assert context.embed(["tea", "rain"]) == [3, 4]


def test_the_identity_of_a_run_names_its_job_sources_and_stages(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path)
    sha = loaded.resolved().sha()
    [source] = loaded.job.sources
    assert identity(loaded) == {
        "the job": sha,
        "the source topics": source.fingerprint(loaded),
        "a file that a stage reads": ["", ""],
    }


def progress(run: Path) -> list[dict[str, Any]]:
    """The header and the blocks of a run."""
    return [json.loads(line[9:]) for line in (run / "progress.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("rows", [None, 5])
def test_a_shard_goes_once_through_the_source_whatever_rows_are_wanted(
    tmp_path: Path, rows: int | None
) -> None:
    loaded = loaded_job(tmp_path, rows=rows, stages=[])
    done = launch(loaded, tmp_path / "run", Options(shard=Shard(2, 3)))
    whole = launched(tmp_path, "whole", stages=[]).folder / "rows.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    mine = [line for line in lines if int(json.loads(line)["id"], 16) % 3 == 1]
    assert (done.folder / "rows.jsonl").read_bytes() == b"".join(mine)
    assert (done.run.stop, done.run.accepted) == ("sources", len(mine))
    assert 5 < len(mine) < len(SEEDS)
    assert progress(done.folder)[0]["shard"] == "2/3"
    assert "shard" not in progress(tmp_path / "whole")[0]


def two_of_each_label(folder: Path, **changes: Any) -> Launched:
    columns = {"label": {"joy": 30, "fear": 1}}
    quota = {"per": {"label": ["joy", "fear"]}, "each": 2}
    source = {"kind": "attributes", "columns": columns}
    empty: dict[str, Any] = {"stages": [], "models": {}, "prompts": {}}
    return launched(folder, **{"sources": [source], "quota": quota, **empty, **changes})


@pytest.mark.parametrize("block", [1, 4])
def test_rows_of_a_cell_are_drawn_counted_and_remembered_by_the_block(
    tmp_path: Path, block: int
) -> None:
    """Those of full cells are passed over, and cost none of the two seeds that a row may cost."""
    done = two_of_each_label(tmp_path, block=block, budget={"seeds_per_row": 2})
    assert (done.run.stop, done.run.accepted) == ("quota", 4)
    *_, last = blocks = progress(done.folder)[1:]
    drawn = json.loads((done.folder / "rows.jsonl").read_text().splitlines()[-1])["order"]
    assert last["pulled"] == int(drawn) + 1
    passed = sum(block["state"]["quota"][0]["passed"] for block in blocks)
    assert passed == last["pulled"] - last["counts"][0]["in"] > 10
    assert last["counts"][-1] == {
        "stage": "quota", "kind": "quota", "in": 4, "created": 0, "out": 4, "rejected": {},
    }  # fmt: skip


def test_a_cell_that_takes_no_row_ends_a_run_when_its_seeds_are_spent(tmp_path: Path) -> None:
    never = {"kind": "pattern", "field": "label", "forbid": ["fear"]}
    done = two_of_each_label(tmp_path, stages=[never], budget={"seeds_per_row": 3})
    assert (done.run.stop, done.run.accepted) == ("budget: seeds", 2)
    assert done.run.counts[1]["rejected"] == {"pattern_found": 3 * 2}


def served(folder: Path, block: int) -> LoadedJob:
    """Six calls to a server."""
    server = {"server": "http://127.0.0.1:9/v1", "model": "qwen3", "price": {"output": 8}}
    ask = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}
    return loaded_job(
        folder,
        models={"writer": server},
        prompts={"ask": prompt_text("Ask about {{ topic }}.", ["topic"])},
        sources=[{"kind": "topics", "topics": SEEDS, "count": 6}],
        stages=[ask],
        block=block,
    )


def test_what_servers_cost_is_known_again_after_a_stop_and_after_the_end(tmp_path: Path) -> None:
    posted, answers, ledger = (tmp_path / name for name in ("posted", "answers", "ledger"))
    with pytest.raises(Posted):
        launch(served(tmp_path, 6), tmp_path / "all", Options(ledger, batch_out=posted))
    answered(posted, answers)
    with Ledger(ledger) as opened:
        take_in(answers, opened)
    job, run = served(tmp_path, 2), tmp_path / "run"
    with pytest.raises(Interrupted):
        launch(job, run, Options(ledger, watch=StopAfter(1)))
    whole = launch(job, run, Options(ledger)).usage
    assert whole["writer"]["completion_tokens"] == 6 * 2
    states = [block["state"] for block in progress(run)[1:]]
    assert states == [{"models:usage": [["writer", 10, 4]]}] * 3 + [{"models:usage": []}]
    (run / "manifest.json").unlink()
    again = launch(job, run, Options(ledger))
    assert (again.run.fresh, again.usage) == (False, whole)


def test_a_run_without_servers_remembers_nothing_of_them(tmp_path: Path) -> None:
    run = launched(tmp_path, rows=4).folder
    assert [block["state"] for block in progress(run)[1:]] == [{}]


def test_a_watch_that_says_nothing_never_stops_a_run() -> None:
    assert Watch().stop_requested() is False


def test_calls_are_counted_by_the_block_whichever_process_made_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        launch(loaded_job(tmp_path), run, Options(watch=StopAfter(6)))
    launched(tmp_path)
    assert [block["calls"] for block in progress(run)[1:]] == [16, 32, 48, 64, 80, 80]


def test_what_an_engine_makes_is_the_run(tmp_path: Path) -> None:
    class Counting(Runner):
        made = 0

        def run(self) -> Run:
            Counting.made += 1
            return super().run()

    done = launch(loaded_job(tmp_path, rows=4), tmp_path / "run", Options(engine=Counting))
    assert (Counting.made, done.run.accepted, done.run.stop) == (1, 4, "quota")
