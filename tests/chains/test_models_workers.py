"""Workers: a model in several processes replies as it does in one, whatever happens to them."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import save_causal

from chains.calls import Call, Message, Model, Reply
from chains.decoding import STRATEGIES, Beam, Decoding, Greedy, Sample
from chains.models import ModelSpec, machine, open_model, opening, worker, workers
from chains.models.workers import WorkerPool, share_out
from pipelines.folder import open_run
from pipelines.job import load_job
from pipelines.launch import Options, launch, reopen
from prompts.errors import ModelError, ResourceError, UsageError

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120
"""Seconds after which a machine, however busy, has done its part."""

PLUGIN = """
import os
from pathlib import Path
from typing import Literal
from chains.decoding import STRATEGIES, Greedy

Path(__file__).with_name(f"imported-{os.getpid()}").touch()

@STRATEGIES.register
class Plainest(Greedy):
    strategy: Literal["plainest"] = "plainest"
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = save_causal(tmp_path_factory.mktemp("models") / "tiny")
    return ModelSpec(model=str(folder), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def alone(spec: ModelSpec) -> Model:
    return open_model(spec)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a module that registers a strategy and leaves a file where it is imported."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "plainest.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        __import__("plainest")
        yield folder


@pytest.fixture(scope="module")
def pool(spec: ModelSpec, plugins: Path) -> Iterator[WorkerPool]:
    """Two workers for all tests, which lose them one after the other."""
    pool = open_model(spec, workers=2, plugins=["plainest"])
    assert isinstance(pool, WorkerPool)
    yield pool
    pool.close()


def calls(*decodings: Decoding, count: int) -> list[Call]:
    """Prompts of some lengths, the middle one wider than the window."""
    prompts = ["the cat " * (1 + number % 3) + str(number) for number in range(count)]
    prompts[count // 2] = "no " * 400
    return [
        Call((Message("user", prompt),), decodings[number % len(decodings)], seed=number)
        for number, prompt in enumerate(prompts)
    ]


def long_calls() -> list[Call]:
    """Calls that take a while, but for the one too wide: its error comes before any decoding."""
    return calls(Sample(min_tokens=150, max_tokens=150), Greedy(max_tokens=5), count=24)


def collect(finished: Iterator[list[tuple[int, list[Reply]]]]) -> dict[int, list[Reply]]:
    found: dict[int, list[Reply]] = {}
    for batch in finished:
        assert not found.keys() & dict(batch).keys()
        found.update(batch)
    return found


def answers(model: Model, asked: Sequence[Call]) -> list[list[Reply]]:
    found = collect(model.answer(asked))
    return [found[index] for index in range(len(asked))]


def workers_of(pid: int) -> list[int]:
    """Processes that work for a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def write_job(folder: Path, spec: ModelSpec) -> None:
    """A job of ten blocks that each ask the model four times."""
    prompt = {
        "variables": {"topic": "A topic."},
        "messages": [{"role": "user", "content": "Ask about {{ topic }}."}],
    }
    stage = {
        "kind": "generate",
        "model": "writer",
        "prompt": "ask",
        "adds": "question",
        "decoding": {"strategy": "sample", "min_tokens": 40, "max_tokens": 40},
        "allow_cut": True,
    }
    job = {
        "name": "tiny",
        "block": 4,
        "models": {"writer": spec.model_dump(mode="json")},
        "prompts": {"ask": yaml.safe_dump(prompt)},
        "sources": [{"kind": "topics", "topics": [f"t {n}" for n in range(40)], "count": 40}],
        "stages": [stage],
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))


def test_workers_reply_as_the_model_does_in_one_process(
    pool: WorkerPool, alone: Model, plugins: Path
) -> None:
    strategies = [
        Sample(max_tokens=12, temperature=0.9, top_p=0.95, n=2),
        STRATEGIES.build({"strategy": "plainest", "max_tokens": 12}),
        Beam(max_tokens=6, num_beams=3),
    ]
    asked = calls(*strategies, count=9)
    assert answers(pool, asked) == answers(alone, asked)
    mine = workers_of(os.getpid())
    assert len(mine) == 2
    expected = {f"imported-{pid}" for pid in (os.getpid(), *mine)}
    wait_until(lambda: expected <= {path.name for path in plugins.glob("imported-*")})
    assert pool.describe() == alone.describe()
    assert (pool.window, pool.fingerprint) == (alone.window, alone.fingerprint)
    assert pool.count_tokens(asked[1].messages) == alone.count_tokens(asked[1].messages)
    assert answers(pool, []) == []
    for number in (signal.SIGINT, signal.SIGTERM):  # as a terminal sends them to all processes
        for pid in mine:
            os.kill(pid, number)
    assert answers(pool, asked[:1]) == answers(alone, asked[:1])
    assert workers_of(os.getpid()) == mine


def test_the_calls_of_a_killed_worker_go_to_the_others(
    pool: WorkerPool, alone: Model, caplog: pytest.LogCaptureFixture
) -> None:
    asked = long_calls()
    finished = pool.answer(asked)
    found = dict(next(finished))
    os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
    found |= collect(finished)
    assert [found[index] for index in range(len(asked))] == answers(alone, asked)
    assert caplog.messages == ["a worker has ended by signal 9; the others go on: 1"]
    assert len(workers_of(os.getpid())) == 1


def test_calls_that_nobody_waits_for_end_with_their_workers(pool: WorkerPool) -> None:
    finished: Any = pool.answer(long_calls())
    next(finished)
    finished.close()
    assert workers_of(os.getpid()) == []


def test_the_death_of_the_last_worker_is_an_error_and_not_for_ever(
    pool: WorkerPool, alone: Model
) -> None:
    finished = pool.answer(long_calls())
    next(finished)
    (last,) = workers_of(os.getpid())
    os.kill(last, signal.SIGKILL)
    with pytest.raises(ResourceError, match=r"the last worker has ended by signal 9") as caught:
        collect(finished)
    assert "use fewer --workers or a smaller 'batch'" in caught.value.fix
    assert workers_of(os.getpid()) == []


def test_a_run_whose_process_is_killed_leaves_no_worker_and_goes_on_to_the_same_bytes(
    spec: ModelSpec, tmp_path: Path
) -> None:
    write_job(tmp_path, spec)
    words = ["run", "job.yaml", "--out", "run", "--ledger", "a.sqlite", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, REPOSITORY / "run_pipeline.py", *words], cwd=tmp_path
    )
    rows = tmp_path / "run/rows.jsonl"
    wait_until(lambda: process.poll() is not None or (rows.exists() and rows.stat().st_size))
    mine = workers_of(process.pid)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(mine) == 2
    wait_until(lambda: not any(map(runs, mine)))
    run = open_run(tmp_path / "run")
    assert not run.manifest_file.exists()
    launch(reopen(run), run.path, Options(tmp_path / "a.sqlite"))
    launch(load_job(tmp_path / "job.yaml"), tmp_path / "whole", Options(tmp_path / "b.sqlite"))
    for file in ("rows.jsonl", "rejected.jsonl", "progress.jsonl", "manifest.json"):
        assert (run.path / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize(
    ("rows", "workers", "pieces"), [(0, 2, 0), (1, 2, 1), (20, 2, 2), (64, 2, 4), (500, 2, 24)]
)
def test_calls_are_shared_out_evenly_the_longest_first(
    rows: int, workers: int, pieces: int
) -> None:
    asked = calls(Greedy(), count=max(1, rows))[:rows]
    shared = share_out(asked, workers, 48)
    assert len(shared) == pieces
    found = [index for piece in shared for index in piece.calls]
    assert sorted(found) == list(range(rows))
    assert all(asked[i] is call for piece in shared for i, call in piece.calls.items())
    lengths = [len(asked[index].messages[0].content) for index in found]
    assert lengths == sorted(lengths, reverse=True)
    sizes = [len(piece.calls) for piece in shared]
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_rows_and_not_calls_decide_the_size_of_a_piece() -> None:
    asked = calls(Sample(n=8), Beam(num_beams=8), count=24)
    assert len(share_out(asked, 2, 48)) == 8  # 192 rows, twice 48 for each of the two, halved


def test_too_little_memory_is_told_before_any_process_is_started(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workers_of(os.getpid())
    pool = open_model(spec, workers=3)
    monkeypatch.setattr(workers, "free_memory", lambda: 1 << 30)
    with pytest.raises(ResourceError) as caught:
        answers(pool, long_calls())
    assert str(caught.value) == (
        "3 workers of this model take about 1.6 GB of memory, 1.1 GB are free; "
        "fix: use fewer --workers, or a smaller model"
    )
    assert workers_of(os.getpid()) == before


class Idle:
    """A worker that was hired and does nothing."""

    def __init__(self, order: worker.Order) -> None:
        self.gpu = order.gpu

    def end(self) -> int:
        return 0


def test_each_worker_has_a_gpu_of_its_own(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "resolve_device", lambda wanted: "cuda")
    monkeypatch.setattr(workers, "Worker", Idle)
    monkeypatch.setattr(workers, "free_memory", lambda: 1)  # of the machine's own: no matter
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,GPU-5e,2,9")  # torch finds no fourth
    with pytest.raises(UsageError, match="each of 4 workers wants a GPU of its own, here: 3"):
        open_model(spec, workers=4)
    pool: Any = open_model(spec, workers=3)
    pool._hire(3)
    assert [hired.gpu for hired in pool._workers] == ["6", "GPU-5e", "2"]
    pool._dismiss(pool._workers[1])
    pool._hire(3)
    assert [hired.gpu for hired in pool._workers] == ["6", "2", "GPU-5e"]
    pool.close()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert machine.visible_gpus() == ["0", "1", "2"]


def test_a_worker_sees_its_gpu_alone(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    seen = []
    monkeypatch.setattr(
        opening, "open_local", lambda *_, **__: seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    )
    for gpu in ("", "1"):
        worker._opened(worker.Order(spec, True, (), 1, loud=True, gpu=gpu))
    assert seen == ["0,1", "1"]


def test_models_that_need_no_processes_stay_in_this_one() -> None:
    model: Any = open_model(ModelSpec(model="scripted"), workers=2)
    assert type(model).__name__ == "ScriptedChat"


def test_errors_of_workers_arrive_whole() -> None:
    ours = ModelError("the weights are damaged", fix="copy them", file="a", line=3, key="k")
    sent: Any = pickle.loads(pickle.dumps(worker.portable(ours)))
    assert (type(sent), str(sent)) == (ModelError, str(ours))
    sent = pickle.loads(pickle.dumps(worker.portable(ValueError("what?"))))
    assert str(sent) == "in a worker: ValueError: what?"
