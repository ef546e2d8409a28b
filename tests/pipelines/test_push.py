import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, assert_line, start, textmill
from fake_hub import TOKEN, Answer, Hub, served
from jobs import job_data, launched, write_job

# huggingface_hub's own, when it sends a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

SPLIT = {"kind": "hf_dataset", "splits": {"train": 0.75, "test": 0.25}}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The fake Hub, which huggingface_hub takes for the real one, by the protocol without Xet."""
    from huggingface_hub import constants

    with served() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished run `run`, which a push only reads."""
    folder = tmp_path_factory.mktemp("room")
    launched(folder, exports=[SPLIT], rows=20)
    return folder


def pushed(room: Path, *words: str) -> dict[str, Any]:
    ended = textmill(room, "push", "run", "--to", "ada/tiny", "--json", *words)
    assert ended.code == 0, ended.err
    found: dict[str, Any] = json.loads(ended.out)
    return found


def contents(run: Path) -> dict[str, bytes]:
    dataset = run / "dataset"
    files = (path for path in dataset.rglob("*") if path.is_file())
    return {path.relative_to(dataset).as_posix(): path.read_bytes() for path in files}


def refusing(sort: str, answer: Answer) -> Any:
    return lambda asked: answer if asked == sort else None


def test_dataset_card_and_job_arrive_in_a_private_repository(room: Path, hub: Hub) -> None:
    result = pushed(room)
    there = hub.repos["ada/tiny"]["main"]
    assert {path: there[path] for path in there if path != "job.yaml"} == contents(room / "run")
    assert b"name: tiny" in there["job.yaml"]
    assert hub.visibility == {"ada/tiny": "private"}
    assert result["url"] == f"{hub.url}/datasets/ada/tiny"
    assert sorted(result["sent"]) == sorted(there)
    assert (result["commit"], result["unchanged"], result["deleted"]) == ("1f2e", 0, [])
    assert hub.calls["commit"] == 1


def test_a_second_push_sends_nothing(room: Path, hub: Hub) -> None:
    first = pushed(room)
    hub.calls.clear()
    second = pushed(room)
    assert second["sent"] == []
    assert second["unchanged"] == len(first["sent"])
    assert second["commit"] == ""
    assert set(hub.calls) == {"create", "tree"}


def test_only_what_changed_is_sent_and_what_left_the_dataset_is_deleted(
    room: Path, hub: Hub
) -> None:
    pushed(room)
    hub.repos["ada/tiny"]["main"]["data/old-00000-of-00001.parquet"] = b"old"
    hub.repos["ada/tiny"]["main"][".gitattributes"] = b"the Hub's own"
    hub.repos["ada/tiny"]["main"]["README.md"] += b"edited there\n"
    result = pushed(room)
    assert result["sent"] == ["README.md"]
    assert result["deleted"] == ["data/old-00000-of-00001.parquet"]
    assert ".gitattributes" in hub.repos["ada/tiny"]["main"]
    assert hub.repos["ada/tiny"]["main"]["README.md"] == contents(room / "run")["README.md"]


def test_a_branch_is_made_and_the_main_one_left_alone(room: Path, hub: Hub) -> None:
    pushed(room, "--revision", "v2", "--public")
    assert hub.visibility == {"ada/tiny": "public"}
    assert hub.repos["ada/tiny"]["main"] == {}
    assert "README.md" in hub.repos["ada/tiny"]["v2"]
    assert pushed(room, "--revision", "v2")["sent"] == []


def test_after_a_refused_commit_large_files_are_not_sent_again(room: Path, hub: Hub) -> None:
    hub.fail = refusing("commit", (403, {"error": "You are over your quota"}))
    before = contents(room / "run")
    ended = textmill(room, "push", "run", "--to", "ada/tiny")
    assert ended.code == 4
    last = ended.err.splitlines()[-1] + "\n"
    assert_line(last, "ada/tiny: the token may not do that: ...over your quota...; fix: use a ...")
    assert contents(room / "run") == before
    assert hub.repos["ada/tiny"]["main"] == {}
    sent = hub.calls["upload"]
    assert sent == len([path for path in before if path.endswith((".parquet", ".png"))])
    hub.fail = lambda sort: None
    hub.calls.clear()
    pushed(room)
    assert hub.calls["upload"] == 0
    assert "README.md" in hub.repos["ada/tiny"]["main"]


def test_a_push_that_is_killed_goes_on_where_it_was(room: Path, hub: Hub) -> None:
    environment = {
        "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    process: Any = None

    def kill_at_the_second(sort: str) -> None:
        if sort == "batch" and hub.calls["batch"] == 2:
            process.send_signal(signal.SIGKILL)

    hub.fail = kill_at_the_second
    process = start(room, "push", "run", "--to", "ada/tiny", **environment)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (len(hub.objects), hub.calls["upload"]) == (1, 1)
    assert hub.repos["ada/tiny"]["main"] == {}
    hub.fail = lambda sort: None
    pushed(room)
    assert hub.calls["upload"] == len(hub.objects)
    there = hub.repos["ada/tiny"]["main"]
    assert contents(room / "run").items() <= there.items()


def test_the_job_that_is_pushed_holds_no_path_of_this_machine(tmp_path: Path, hub: Hub) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"topic": "tea"}\n', encoding="utf-8")
    launched(tmp_path, exports=[SPLIT], sources=[{"kind": "records", "path": str(seeds)}])
    pushed(tmp_path)
    job = hub.repos["ada/tiny"]["main"]["job.yaml"].decode()
    assert str(tmp_path) not in job
    assert "(local)/seeds.jsonl" in job


def test_of_a_merged_run_the_jobs_of_its_parts_are_pushed(tmp_path: Path, hub: Hub) -> None:
    for name in ("a", "run"):
        launched(tmp_path, name, exports=[SPLIT], seed=len(name))
    assert textmill(tmp_path, "merge", "a", "run", "--out", "both").code == 0
    ended = textmill(tmp_path, "push", "both", "--to", "ada/both")
    assert ended.code == 0, ended.err
    there = hub.repos["ada/both"]["main"]
    assert "seed: 1" in there["job-1.yaml"].decode()
    assert "seed: 3" in there["job-2.yaml"].decode()
    assert "job.yaml" not in there


def refused(room: Path, to: str = "ada/tiny") -> Ended:
    ended = textmill(room, "push", "run", "--to", to)
    assert ended.code == 4
    assert TOKEN not in ended.out + ended.err
    return ended


@pytest.mark.parametrize("name", ["tiny", "a/b/c", "ada/ti ny", "ada/-tiny", "ada/x--y", "ada/"])
def test_a_name_that_the_hub_does_not_take(name: str, room: Path, hub: Hub) -> None:
    assert_line(refused(room, name).err, f"{name}: the Hub takes no such name; fix: write it ...")
    assert hub.repos == {}


def test_without_a_token(
    room: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert_line(refused(room).err, "ada/tiny: there is no token for the Hub; fix: set HF_TOKEN ...")


def test_with_a_token_that_is_not_valid(
    room: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    ended = refused(room)
    assert "hf_wrong" not in ended.err
    assert_line(ended.err, "ada/tiny: the Hub does not accept the token; fix: set HF_TOKEN to ...")


def test_a_name_space_that_is_someone_else_s(room: Path, hub: Hub) -> None:
    said = f"You have no right to create a dataset under eve with {TOKEN}"
    hub.fail = refusing("create", (403, {"error": said}))
    line = "eve/tiny: the token may not do that: ...under eve...; fix: ...repositories of eve..."
    assert_line(refused(room, "eve/tiny").err, line)


def test_a_hub_that_cannot_be_reached(
    room: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert_line(refused(room).err, "ada/tiny: the Hub cannot be reached: ...; fix: push again ...")


def test_a_hub_that_is_switched_off(room: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_line(refused(room).err, "ada/tiny: the Hub is switched off by HF_HUB_OFFLINE; fix: ...")


def test_a_run_without_a_dataset(tmp_path: Path, hub: Hub) -> None:
    launched(tmp_path, exports=[{"kind": "jsonl"}])
    ended = textmill(tmp_path, "push", "run", "--to", "ada/tiny")
    assert ended.code == 2
    assert_line(ended.err, "run: the run has no dataset to push; fix: ...hf_dataset...")


def test_a_run_that_is_not_finished(tmp_path: Path, hub: Hub) -> None:
    job = write_job(tmp_path, job_data(exports=[SPLIT], rows=3))
    assert textmill(tmp_path, "run", str(job), "--out", "run").code == 0
    (tmp_path / "run" / "manifest.json").unlink()
    ended = textmill(tmp_path, "push", "run", "--to", "ada/tiny")
    assert ended.code == 2
    assert_line(ended.err, "run: the run is not finished; fix: ...")
    assert hub.calls == {}
