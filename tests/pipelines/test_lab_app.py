"""The lab's page over HTTP: who may come in, what streams, what is written."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml
from command_line import assert_line, textmill
from jobs import job_data, launched, prompt_text, write_job

from pipelines.job import load_job
from pipelines.lab.app.ratings import Ratings
from pipelines.lab.app.server import LabServer
from pipelines.lab.app.serving import Door, open_lab
from prompts.errors import CorruptRunError, UsageError

LENGTH = {"kind": "length", "field": "question", "unit": "words", "min": 8, "max": 40}
GENERATE = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}


class Answer(NamedTuple):
    """Status, headers and body of a response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Visitor:
    """Sends requests as the page does; headers that are given replace its own."""

    def __init__(self, server: LabServer, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        own: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.server.port}",
            "X-Textmill-Token": self.server.token,
            "Content-Type": "application/json",
        }
        sent = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(text)))
        connection.endheaders(text if method == "POST" else None)
        response = connection.getresponse()
        found = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return found

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str | None) -> Answer:
        return self.ask("POST", path, body, **headers)

    def events(self, body: Any) -> list[dict[str, Any]]:
        found = self.post("/api/compare", body)
        assert found.status == 200, found.body
        return [json.loads(part[6:]) for part in found.body.decode().split("\n\n") if part]


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A lab on a scripted job with one finished run."""
    folder = tmp_path_factory.mktemp("lab")
    stages = [GENERATE, LENGTH]
    launched(folder, "runs/first", stages=stages)
    loaded = load_job(write_job(folder, job_data(stages=stages)))
    server, worker = open_lab(loaded, Door(port=0), runs=folder / "runs")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Visitor(server, folder)
    server.shutdown()
    thread.join()
    server.server_close()
    worker.close()


def variants(*drafts: dict[str, Any]) -> dict[str, Any]:
    return {"stage": "question", "rows": 6, "variants": list(drafts)}


A = {"name": "A", "prompt": "ask"}
B = {
    "name": "B",
    "prompt": "ask@lab-B",
    "source": prompt_text("Ask hard on {{ topic }}.", ["topic"]),
}


def test_the_page_is_served_with_a_strict_policy_and_without_data(visitor: Visitor) -> None:
    for name, kind in (
        ("/", "text/html"),
        ("/lab.js", "text/javascript"),
        ("/lab.css", "text/css"),
    ):
        found = visitor.get(name, X_Textmill_Token=None)
        assert found.status == 200
        assert found.headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
        assert "unsafe" not in found.headers["Content-Security-Policy"]
        assert b"tiny" not in found.body
        assert b"http://" not in found.body.replace(b"http://www.w3.org", b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1:notaport"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"X_Textmill_Token": None},
        {"X_Textmill_Token": "guess"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_strangers_are_refused(visitor: Visitor, headers: dict[str, str], method: str) -> None:
    port = str(visitor.server.port)
    sent = {k: v and v.replace("{port}", port) for k, v in headers.items()}
    path = "/api/state" if method == "GET" else "/api/stop"
    assert visitor.ask(method, path, {}, **sent).status == 403


def test_the_page_itself_may_come_in(visitor: Visitor) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{visitor.server.port}"
        found = visitor.post("/api/stop", {}, Host=host, Origin=f"http://{host}")
        assert found.status == 200


@pytest.mark.parametrize("path", ["/../desk.py", "/%2e%2e/desk.py", "/nothing.js", "/api/nothing"])
def test_nothing_else_is_served(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status == 404


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"not json", {}),
        (b"[1]", {}),
        (b"[" * 100_000, {}),
        (b"{}", {"Content_Type": "text/plain"}),
        (b"{}", {"Content_Type": None}),
    ],
)
def test_a_body_that_is_none_is_refused(
    visitor: Visitor, body: bytes, headers: dict[str, str]
) -> None:
    assert visitor.post("/api/render", body, **headers).status == 400


def test_state_names_what_can_be_chosen(visitor: Visitor) -> None:
    state = visitor.get("/api/state").data
    assert (state["job"], state["models"]) == ("tiny", ["writer"])
    assert [stage["name"] for stage in state["stages"]] == ["question", "length"]
    assert state["prompts"][0] == "ask"
    assert state["runs"][0]["run"] == "first"


def test_cells_stream_in_and_the_whole_comes_last(visitor: Visitor) -> None:
    events = visitor.events(variants(A, B))
    assert [next(iter(event)) for event in events] == [
        "rows",
        "cells",
        "cells",
        "cells",
        "comparison",
        "done",
    ]
    assert [len(event["cells"]) for event in events[1:4]] == [2, 8, 2]
    whole = events[4]["comparison"]
    assert [variant["name"] for variant in whole["variants"]] == ["A", "B"]
    assert "Ask hard on" in whole["cells"][1]["messages"][0][1]
    assert len(whole["contrasts"]) == 1
    assert visitor.events(variants(A, B))[4]["paid"] == 0


def test_a_stage_s_settings_are_a_variant_too(visitor: Visitor) -> None:
    hot = {"name": "B", "prompt": "ask", "settings": {"decoding.max_tokens": 3, "allow_cut": True}}
    whole = visitor.events(variants(A, hot))[-2]["comparison"]
    assert all(cell["tokens"] == 3 for cell in whole["cells"] if cell["variant"] == 1)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (variants(), "variants"),
        (variants({"name": "A", "prompt": "nothing"}, B), "nothing"),
        (variants({**B, "source": "messages: []"}), "messages"),
        ({**variants(A, B), "stage": "questoin"}, "write 'question'"),
        ({**variants(A, B), "rows": 9999}, "rows"),
        (variants({**A, "settings": {"attempts": 0}}, B), "attempts"),
        (variants({**A, "name": "<b>"}, B), "name"),
    ],
)
def test_what_cannot_be_compared_is_told(visitor: Visitor, body: Any, problem: str) -> None:
    found = visitor.post("/api/compare", body)
    told = (
        found.data if found.status == 400 else json.loads(found.body.decode().split("\n\n")[-2][6:])
    )
    assert problem in told["error"]


def test_a_prompt_is_rendered_while_it_is_written(visitor: Visitor) -> None:
    body = {"stage": "question", "source": B["source"], "row": {"topic": "<script>"}}
    assert visitor.post("/api/render", body).data["messages"] == [["user", "Ask hard on <script>."]]
    broken = visitor.post(
        "/api/render", {**body, "source": "messages: [{role: user, content: '{{ x'}]"}
    )
    assert broken.status == 400
    assert visitor.get("/api/prompt?name=ask").data["variables"] == {"topic": "a column"}
    assert visitor.get("/api/prompt?name=../../etc/passwd").status == 404


def test_runs_are_browsed_by_reason_and_text(visitor: Visitor) -> None:
    run = visitor.get("/api/run?name=first").data
    assert [stage["stage"] for stage in run["stages"]] == [
        "source:topics", "question", "length", "quota",
    ]  # fmt: skip
    accepted = visitor.get("/api/rows?name=first").data
    assert len(accepted["rows"]) == 25
    assert accepted["more"]
    rejected = visitor.get("/api/rows?name=first&rejected=1&reason=too_short").data["rows"]
    assert {row["reason"] for row in rejected} <= {"too_short"}
    last = accepted["rows"][-1]["data"]["question"]
    query = urlencode({"name": "first", "text": last.upper()})
    found = visitor.get(f"/api/rows?{query}").data["rows"]
    assert [row["data"]["question"] for row in found] == [last]
    rest = visitor.get("/api/rows?name=first&start=25").data
    assert not rest["more"]
    assert len(rest["rows"]) == run["rows"] - 25


@pytest.mark.parametrize("name", ["second", "..", "../runs/first", "", "a" * 300, "%00"])
def test_a_run_that_is_not_there_is_404(visitor: Visitor, name: str) -> None:
    assert visitor.get(f"/api/run?name={name}").status == 404
    assert visitor.get(f"/api/rows?name={name}").status == 404


def test_a_huge_cell_is_cut(tmp_path: Path) -> None:
    from pipelines.lab.app.runs import shortened

    cut = shortened({"text": "x" * 100_000_000, "list": list(range(1000))})
    assert len(cut["text"]) < 20_100
    assert cut["list"][-1] == "[... 800 more]"


def rating(verdict: str, **changes: Any) -> dict[str, Any]:
    sides = {"a": {"variant": "A", "text": "When?"}, "b": {"variant": "B", "text": "Why?"}}
    chat = [{"role": "user", "content": "Ask about tea."}]
    return {
        "row": "r1",
        "stage": "question",
        "verdict": verdict,
        "prompt": chat,
        **sides,
        **changes,
    }


def test_ratings_are_kept_and_exported_as_preferences(visitor: Visitor) -> None:
    for row, verdict in (("r1", "a"), ("r2", "b"), ("r3", "tie"), ("r1", "b")):
        assert visitor.post("/api/rate", rating(verdict, row=row)).status == 200
    known = visitor.get("/api/ratings").data
    assert known == {
        "ratings": 3,
        "variants": {
            "A": {"won": 0, "lost": 2, "tied": 1},
            "B": {"won": 2, "lost": 0, "tied": 1},
        },
    }
    lines = visitor.get("/api/preferences").body.decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "prompt": [{"role": "user", "content": "Ask about tea."}],
            "chosen": [{"role": "assistant", "content": "Why?"}],
            "rejected": [{"role": "assistant", "content": "When?"}],
        }
    ] * 2
    assert visitor.post("/api/rate", rating("better")).status == 400
    assert len(Ratings(visitor.folder / "runs/tiny.ratings.jsonl")) == 3


def test_a_variant_is_promoted_to_a_job_that_runs(visitor: Visitor) -> None:
    draft = {**B, "settings": {"decoding.strategy": "sample", "decoding.temperature": 0.5}}
    body = {"stage": "question", "variant": draft, "file": "hard.yaml"}
    found = visitor.post("/api/promote", body).data
    assert "+    temperature: 0.5" in found["diff"]
    written = yaml.safe_load((visitor.folder / "hard.yaml").read_text(encoding="utf-8"))
    assert written["stages"][0]["prompt"] == "ask@lab-B"
    assert textmill(visitor.folder, "validate", "hard.yaml").code == 0
    assert "exists" in visitor.post("/api/promote", body).data["error"]
    for name in ("../x.yaml", "x.txt", "/tmp/x.yaml", ""):
        assert visitor.post("/api/promote", {**body, "file": name}).status == 400
    wrong = {**body, "file": "wrong.yaml", "variant": {**A, "settings": {"nothing": 1}}}
    assert visitor.post("/api/promote", wrong).status == 400
    assert not (visitor.folder / "wrong.yaml").exists()


def test_a_damaged_file_of_ratings_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(rating("a")) + '\n{"row": 1}\n', encoding="utf-8")
    with pytest.raises(CorruptRunError, match="the line is not a rating") as caught:
        Ratings(path)
    assert (caught.value.file, caught.value.line) == (path, 2)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_need_a_token_of_one_s_own(host: str) -> None:
    with pytest.raises(UsageError, match="can be reached from other machines"):
        Door(host).key()
    with pytest.raises(UsageError, match="too easy to guess"):
        Door(host, token="short").key()
    assert Door(host, token="a" * 16).key() == "a" * 16
    assert len(Door().key()) >= 32


def test_a_port_that_is_taken_names_the_next_free_one(tmp_path: Path) -> None:
    write_job(tmp_path, job_data())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("lab", "job.yaml", "--port", str(port), "--runs", "runs")
        ended = textmill(tmp_path, *words)
    assert ended.code == 2
    assert_line(ended.err, f"--port: port {port} is taken; fix: give --port ...")
