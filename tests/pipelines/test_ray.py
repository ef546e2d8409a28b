"""The engine `ray`: the bytes of a run in this process, whatever happens to actors and driver."""

import json
import logging
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_line, start, textmill
from jobs import job_data, loaded_job, write_job

from benchmarks.dedup import corpus
from pipelines.calling import Interrupted
from pipelines.job import PROJECT, load_job
from pipelines.launch import Options, launch
from pipelines.ray import engine
from pipelines.ray.cluster import Cluster
from pipelines.ray.engine import RayRunner, check_gpus, segments
from pipelines.ray.tasks import tasks
from pipelines.runner import Watch
from prompts.errors import ModelError, ResourceError, TextmillError, UsageError

# Ray Data asks itself for settings of its own that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:::ray.data.context")
RECIPES = sorted(path.stem for path in (PROJECT / "pipelines" / "recipes").glob("*.yaml"))
SAMPLE = {"strategy": "sample", "n": 2}
STAGES: list[dict[str, Any]] = [
    {
        "kind": "generate",
        "model": "writer",
        "prompt": "ask",
        "adds": "question",
        "decoding": SAMPLE,
    },
    {"kind": "length", "field": "question", "unit": "words", "max": 14},
    {"kind": "dedup", "field": "topic"},
    {"kind": "generate", "model": "writer", "prompt": "reply", "adds": "answer"},
]
PLUGIN = """
import os, signal
from typing import Literal
from pipelines.exporters import EXPORTERS, Parquet
from pipelines.exporters.projection import RowsProjection
from pipelines.stages.base import STAGES, Filter
from prompts.errors import ModelError

@STAGES.register
class Killer(Filter):
    kind: Literal["killer"] = "killer"
    at: int
    marker: str

    def fault(self, row):
        if row.order[0] == self.at and (not self.marker or not os.path.exists(self.marker)):
            if self.marker:
                open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return None

@EXPORTERS.register
class Fragile(Parquet):
    kind: Literal["fragile"] = "fragile"
    marker: str

    def projection(self):
        return Dying(self.columns, self.marker)

class Dying(RowsProjection):
    def __init__(self, columns, marker):
        super().__init__(columns)
        self.marker = marker

    def record(self, row):
        if row.order[0] == 21 and not os.path.exists(self.marker):
            if self.marker:
                open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().record(row)

@STAGES.register
class Breaker(Filter):
    kind: Literal["breaker"] = "breaker"
    at: int

    def fault(self, row):
        if row.order[0] == self.at:
            raise ModelError("the model is broken", key="models.writer")
        return None
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two actors on this machine; the plugin's folder is known to them."""
    ray = pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "ray_plugin.py").write_text(PLUGIN)
    sys.path.insert(0, str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield Cluster(actors=2)
        ray.shutdown()
    sys.path.remove(str(folder))


def options(cluster: Cluster, ledger: Path, watch: Watch | None = None) -> Options:
    engine = partial(RayRunner, cluster=cluster)
    exporting = partial(tasks, cluster)
    return Options(ledger, engine=engine, tasks=exporting, watch=watch or Watch())


def files(run: Path) -> dict[str, bytes]:
    """All files of a run but those that say how it was made."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in {".lock", ".timing.jsonl"}
    }


def assert_same(first: Path, second: Path) -> None:
    one, other = files(first), files(second)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize("rows", [None, 20])
def test_a_run_on_ray_has_the_bytes_of_one_in_this_process(
    tmp_path: Path, cluster: Cluster, rows: int | None
) -> None:
    lines = [json.dumps({"topic": f"topic {n % 25}"}) for n in range(40)]
    (tmp_path / "seeds.jsonl").write_text("\n".join([*lines[:20], "{broken", *lines[20:]]))
    settings: dict[str, Any] = {
        "rows": rows,
        "stages": STAGES,
        "sources": [{"kind": "records", "path": "seeds.jsonl"}],
        "exports": [{"kind": "jsonl"}],
    }
    here = launch(loaded_job(tmp_path, **settings), tmp_path / "here", Options(tmp_path / "one"))
    there = launch(
        loaded_job(tmp_path, **settings), tmp_path / "there", options(cluster, tmp_path / "two")
    )
    rejected = {entry["stage"]: entry["rejected"] for entry in here.run.counts}
    assert rejected["length"]
    assert rejected["dedup"]
    assert here.run == there.run
    assert here.meter.calls == there.meter.calls
    assert here.meter.tokens == there.meter.tokens
    assert_same(tmp_path / "here", tmp_path / "there")


def test_stages_that_remember_rows_work_where_blocks_have_their_order(tmp_path: Path) -> None:
    job = loaded_job(tmp_path, stages=STAGES).job
    found = [(part.here, [stage.name for stage in part.stages]) for part in segments(job)]
    assert found == [(False, ["question", "length"]), (True, ["dedup"]), (False, ["answer"])]


def test_a_source_compared_in_the_cluster_loses_the_same_rows(
    tmp_path: Path, cluster: Cluster
) -> None:
    texts = corpus(1_500)[0]
    records = [{"topic": text, "n": n} for n, text in enumerate([*texts, *texts[:300:7]])]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, records)))
    settings: dict[str, Any] = {
        "block": 400,
        "stages": [
            {"kind": "length", "field": "topic", "unit": "words", "max": 26},
            {"kind": "dedup", "field": "topic", "threshold": 0.6},
            {"kind": "length", "name": "longer", "field": "topic", "unit": "words", "min": 14},
        ],
        "sources": [{"kind": "records", "path": "seeds.jsonl"}],
    }
    here = launch(loaded_job(tmp_path, **settings), tmp_path / "here", Options(tmp_path / "one"))
    assert [segment.whole for segment in segments(loaded_job(tmp_path, **settings).job)] == [
        False,
        True,
        False,
    ]
    always = options(replace(cluster, pair_from=1), tmp_path / "two")
    there = launch(loaded_job(tmp_path, **settings), tmp_path / "there", always)
    assert here.run == there.run
    assert here.run.counts[2]["rejected"]["duplicate"] >= 30
    assert here.run.counts[2]["rejected"]["near_duplicate"] > 100
    assert_same(tmp_path / "here", tmp_path / "there")


def test_a_killed_actor_loses_nothing(tmp_path: Path, cluster: Cluster) -> None:
    def stages(marker: Path) -> list[dict[str, Any]]:
        killer = {"kind": "killer", "at": 21, "marker": str(marker)}
        return [*STAGES[:2], killer, *STAGES[2:]]

    marker = tmp_path / "marker"
    settings: dict[str, Any] = {"plugins": ["ray_plugin"], "stages": stages(marker)}
    launch(loaded_job(tmp_path, **settings), tmp_path / "there", options(cluster, tmp_path / "two"))
    assert marker.exists()
    launch(loaded_job(tmp_path, **settings), tmp_path / "here", Options(tmp_path / "one"))
    assert_same(tmp_path / "here", tmp_path / "there")


SHARDED: list[dict[str, Any]] = [
    {"kind": "hf_dataset", "shard_rows": 5, "splits": {"train": 0.7, "test": 0.3}, "images": False},
    {"kind": "parquet", "shard_rows": 6},
    {"kind": "csv", "shard_rows": 9},
]


def test_parquet_files_made_in_the_cluster_are_those_made_here(
    tmp_path: Path, cluster: Cluster
) -> None:
    settings: dict[str, Any] = {"stages": STAGES, "exports": SHARDED}
    here = launch(loaded_job(tmp_path, **settings), tmp_path / "here", Options(tmp_path / "one"))
    there = launch(
        loaded_job(tmp_path, **settings), tmp_path / "there", options(cluster, tmp_path / "two")
    )
    assert here.exports[1]["files"] >= 3
    assert here.exports == there.exports
    assert_same(tmp_path / "here", tmp_path / "there")


def test_a_killed_task_of_an_export_is_made_again(tmp_path: Path, cluster: Cluster) -> None:
    marker = tmp_path / "marker"
    settings: dict[str, Any] = {
        "plugins": ["ray_plugin"],
        "stages": STAGES[:1],
        "exports": [{"kind": "fragile", "shard_rows": 30, "marker": str(marker)}],
    }
    launch(loaded_job(tmp_path, **settings), tmp_path / "there", options(cluster, tmp_path / "two"))
    assert marker.exists()
    launch(loaded_job(tmp_path, **settings), tmp_path / "here", Options(tmp_path / "one"))
    assert len(list((tmp_path / "here" / "fragile").glob("*.parquet"))) == 3
    assert_same(tmp_path / "here", tmp_path / "there")


@pytest.mark.slow
def test_a_task_that_ends_again_and_again_leaves_nothing(tmp_path: Path, cluster: Cluster) -> None:
    exports = [{"kind": "fragile", "shard_rows": 30, "marker": ""}]
    loaded = loaded_job(tmp_path, plugins=["ray_plugin"], stages=STAGES[:1], exports=exports)
    with pytest.raises(ResourceError, match="the export's work ended 4 times in a row"):
        launch(loaded, tmp_path / "run", options(cluster, tmp_path / "ledger"))
    assert not list((tmp_path / "run").rglob("*.parquet"))
    assert not list((tmp_path / "run").glob(".fragile*"))


@pytest.mark.slow
def test_an_actor_that_ends_over_a_block_again_and_again_is_said(
    tmp_path: Path, cluster: Cluster
) -> None:
    stages = [{"kind": "killer", "at": 1, "marker": ""}]
    loaded = loaded_job(tmp_path, plugins=["ray_plugin"], stages=stages)
    with pytest.raises(ResourceError, match="an actor ended"):
        launch(loaded, tmp_path / "run", options(cluster, tmp_path / "ledger"))


def test_an_error_behind_the_quota_is_none(tmp_path: Path, cluster: Cluster) -> None:
    settings: dict[str, Any] = {
        "plugins": ["ray_plugin"],
        "stages": [{"kind": "breaker", "at": 17}],
        "models": {"writer": {"model": "scripted"}},
    }
    enough = loaded_job(tmp_path, rows=16, **settings)
    ended = launch(enough, tmp_path / "enough", options(cluster, tmp_path / "ledger"))
    assert (ended.run.stop, ended.run.accepted) == ("quota", 16)
    more = loaded_job(tmp_path, rows=17, **settings)
    with pytest.raises(ModelError, match="the model is broken"):
        launch(more, tmp_path / "more", options(cluster, tmp_path / "ledger"))
    committed = (tmp_path / "more" / "rows.jsonl").read_text().splitlines()
    assert len(committed) == 16


class Stopping(Watch):
    """Asks to stop once some rows are committed."""

    def __init__(self) -> None:
        self.stop = False

    def on_block(self, accepted: int, rejected: int) -> None:
        self.stop = accepted >= 3

    def stop_requested(self) -> bool:
        return self.stop


def test_a_run_that_was_stopped_goes_on_with_either_engine(
    tmp_path: Path, cluster: Cluster
) -> None:
    whole = loaded_job(tmp_path, stages=STAGES)
    paid = launch(whole, tmp_path / "whole", Options(tmp_path / "one")).meter
    with pytest.raises(Interrupted):
        launch(whole, tmp_path / "parts", options(cluster, tmp_path / "two", Stopping()))
    rest = launch(whole, tmp_path / "parts", Options(tmp_path / "two"))
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert rest.meter.known > 0
    assert rest.meter.tokens < paid.tokens


def assert_killed_goes_on_to_the_same_bytes(folder: Path) -> None:
    """The run `killed` of the folder's job, resumed on Ray, is the run without Ray."""
    resumed = start(folder, "resume", "killed", "--engine", "ray", "--actors", "2")
    resumed.communicate()
    assert resumed.returncode == 0
    assert textmill(folder, "run", "job.yaml", "--out", "whole").code == 0
    assert_same(folder / "whole", folder / "killed")


@pytest.mark.slow
def test_a_killed_driver_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    sources = [{"kind": "topics", "topics": [f"topic {n}" for n in range(400)], "count": 400}]
    write_job(tmp_path, job_data(stages=STAGES, sources=sources))
    words = ["run", "job.yaml", "--engine", "ray", "--actors", "2", "--out"]
    process = start(tmp_path, *words, "killed")
    progress = tmp_path / "killed" / "progress.jsonl"
    limit = time.monotonic() + 120
    while not progress.exists() or progress.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert_killed_goes_on_to_the_same_bytes(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["export.after_write", "export.after_fsync"])
def test_a_driver_killed_while_it_exports_leaves_no_part_of_it(tmp_path: Path, place: str) -> None:
    pytest.importorskip("ray")
    write_job(tmp_path, job_data(stages=STAGES, exports=SHARDED[:2]))
    words = ["run", "job.yaml", "--engine", "ray", "--actors", "2", "--out"]
    # The second export is written, the first is in its place.
    killed = start(tmp_path, *words, "killed", TEXTMILL_FAILPOINT=f"{place}@2=kill")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "killed" / "dataset").rglob("*.parquet"))) > 4
    assert not (tmp_path / "killed" / "parquet").exists()
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert_killed_goes_on_to_the_same_bytes(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_makes_the_same_on_ray(tmp_path: Path, cluster: Cluster, recipe: str) -> None:
    path = PROJECT / "pipelines" / "recipes" / f"{recipe}.yaml"
    job = load_job(path).job
    changes = [f"models.{name}={{model: scripted}}" for name in job.models]
    changes += ["exports=[]", "budget.seeds_per_row=3", "block=8"]
    changes += [] if job.quota else ["rows=20"]

    loaded = load_job(path, overrides=changes)

    def ended(run: str, how: Options) -> tuple[str, Any]:
        try:
            return "", launch(loaded, tmp_path / run, how).run
        except TextmillError as exc:
            return str(exc), None

    here = ended("here", Options(tmp_path / "one"))
    assert here == ended("there", options(cluster, tmp_path / "two"))
    for name in ("rows.jsonl", "rejected.jsonl"):
        one, other = tmp_path / "here" / name, tmp_path / "there" / name
        assert one.exists() == other.exists()
        assert not one.exists() or one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (
            ["--engine", "rey"],
            2,
            "--engine: unknown engine 'rey'; fix: write 'ray' (known: local, ray)",
        ),
        (
            ["--actors", "2"],
            2,
            "--engine: --address, --actors and --gpus are for Ray; fix: add --engine ray",
        ),
        (
            ["--engine", "ray", "--workers", "2"],
            2,
            "--workers: an actor answers its calls itself...",
        ),
        (
            ["--engine", "ray", "--address", "127.0.0.1:1"],
            4,
            "--address: no Ray cluster at '127.0.0.1:1': ...; fix: start it with 'ray start --head'"
            ", or leave out --address for this machine alone",
        ),
        (
            ["--engine", "ray", "--address", "ray://head:10001"],
            2,
            "--address: 'ray://head:10001' is no address; fix: write HOST:PORT as 'ray start' "
            "shows it, on a machine of the cluster, or 'auto'",
        ),
    ],
)
def test_what_cannot_work_is_said_before_a_run_is_begun(
    tmp_path: Path, words: list[str], code: int, line: str
) -> None:
    pytest.importorskip("ray")
    write_job(tmp_path, job_data())
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", *words)
    assert ended.code == code
    assert_line(ended.err, line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("why", ["The current node timed out during startup. This\ncould", ""])
def test_a_start_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    ray = pytest.importorskip("ray")

    def start(**_: Any) -> None:
        raise Exception(why)

    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")  # put back behind the test, which sets them
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(ModelError) as caught:
        Cluster(actors=2).connect()
    told = why.partition("\n")[0] or "Exception"
    assert caught.value.problem == f"Ray cannot be started: {told}"
    assert caught.value.fix == "see Ray's logs in /tmp/ray/session_latest/logs"


def test_actors_without_a_gpu_are_refused_a_model_that_would_run_on_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "resolve_device", {"auto": "cuda", "cpu": "cpu"}.get)
    models = {"writer": {"model": "scripted"}, "large": {"model": str(tmp_path)}}
    job = loaded_job(tmp_path, models=models).job
    with pytest.raises(UsageError, match="the model 'large' runs on a GPU") as caught:
        check_gpus(job, Cluster())
    assert caught.value.fix == "add --gpus 1, or write 'device: cpu'"
    check_gpus(job, Cluster(gpus=0.5))
    models["large"]["device"] = "cpu"
    check_gpus(loaded_job(tmp_path, models=models).job, Cluster())


def test_without_ray_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    write_job(tmp_path, job_data())
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", "--engine", "ray")
    assert ended.code == 2
    line = "--engine: Ray is not installed; fix: pip install -c constraints.txt -e '.[ray]'"
    assert_line(ended.err, line)
