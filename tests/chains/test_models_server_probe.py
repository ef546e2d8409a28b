"""What a server ignores is found out before the job's first call, for every setting by itself."""

import hashlib
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fake_server import Answer, FakeServer, completion, serving

from chains.calls import Call, Message, Reply
from chains.decoding import Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.models import ModelSpec
from chains.models.server import ServerChat, open_server
from chains.models.server_probe import NAME, ONE_TO_TWENTY, REPEAT, SCHEMA
from prompts.errors import ModelError

QUESTION = "What is the job about?"
JSON = GrammarSettings(form="json", source=SCHEMA)
USES: dict[str, tuple[Decoding, tuple[GrammarSettings, ...]]] = {
    "stop": (Greedy(stop=("\n",)), ()),
    "penalties": (Greedy(presence_penalty=0.5), ()),
    "response_format": (Greedy(), (JSON,)),
    "temperature": (Sample(temperature=0.7), ()),
    "seed": (Sample(temperature=0.7), ()),
}
STOPPING = ("penalties", "response_format", "stop", "temperature")


class Capable:
    """A server that does all it is told but for what it ignores, and refuses some by name."""

    def __init__(self) -> None:
        self.ignores: set[str] = set()
        self.refuses: set[str] = set()
        self._chance = itertools.count()

    def chat(self, body: dict[str, Any]) -> Answer:
        said = {"penalties"} if {"frequency_penalty", "presence_penalty"} & body.keys() else set()
        said |= {name for name in ("stop", "response_format", "seed") if name in body}
        said |= {"temperature"} if body["temperature"] else set()
        if found := said & self.refuses:
            return 400, {"error": {"message": f"unknown parameter {min(found)}"}}
        return 200, completion(self._text(body, said - self.ignores))

    def _text(self, body: dict[str, Any], heeded: set[str]) -> str:
        question = body["messages"][-1]["content"]
        if "response_format" in heeded:
            return '{"probe": 3}'
        if question == ONE_TO_TWENTY:
            text = " ".join(str(n) for n in range(1, 21))
            return text.split(body["stop"][0])[0] if "stop" in heeded else text
        if question == REPEAT:
            return "yes no maybe so" if "penalties" in heeded else "yes " * 30
        if "temperature" not in heeded:
            return "Her name is Anna, 33."
        chance = body["seed"] if "seed" in heeded else next(self._chance)
        return f"Her name is {hashlib.sha256(str(chance).encode()).hexdigest()}."


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def capable(fake: FakeServer) -> Capable:
    server = Capable()
    fake.chat = server.chat
    return server


def connect(fake: FakeServer, *tolerate: str) -> ServerChat:
    settings: dict[str, Any] = {"server": f"{fake.address}/v1", "model": "qwen3", "batch": 4}
    return open_server(ModelSpec(**settings, tolerate=tolerate), retries=0)


def call(setting: str, seed: int = 5) -> Call:
    decoding, guides = USES[setting]
    return Call((Message("user", QUESTION),), decoding, seed, guides)


def ask(model: ServerChat, *settings: str) -> list[Reply]:
    calls = [
        Call((Message("user", QUESTION),), *USES[name][:1], 5, USES[name][1]) for name in settings
    ]
    try:
        found = {i: replies for done in model.answer(calls) for i, replies in done}
    finally:
        model.close()
    return [found[i][0] for i in range(len(calls))]


def probes(fake: FakeServer) -> list[str]:
    texts = [body["messages"][-1]["content"] for body in fake.requests]
    return [text for text in texts if text != QUESTION]


def test_a_server_that_does_all_it_is_told_is_let_through(
    fake: FakeServer, capable: Capable, caplog: pytest.LogCaptureFixture
) -> None:
    replies = ask(connect(fake), *USES)
    assert [reply.finish for reply in replies] == ["stop"] * len(USES)
    assert set(probes(fake)) == {ONE_TO_TWENTY, REPEAT, NAME}
    assert caplog.records == []


@pytest.mark.parametrize("setting", STOPPING)
def test_a_setting_that_is_ignored_stops_the_job_before_its_first_call(
    fake: FakeServer, capable: Capable, setting: str
) -> None:
    capable.ignores = {setting}
    with pytest.raises(ModelError, match=f"the server ignores {setting}, which") as caught:
        ask(connect(fake), *USES)
    assert f"tolerate: [{setting}]" in caught.value.fix
    assert len(probes(fake)) == len(fake.requests)


@pytest.mark.parametrize("setting", STOPPING)
def test_what_a_job_does_not_use_may_be_ignored(
    fake: FakeServer, capable: Capable, setting: str
) -> None:
    capable.ignores = {setting}
    others = [
        name for name in USES if name != setting and not {name, setting} <= {"seed", "temperature"}
    ]
    assert [reply.finish for reply in ask(connect(fake), *others)] == ["stop"] * len(others)


@pytest.mark.parametrize("setting", STOPPING)
def test_what_is_tolerated_is_not_tried(fake: FakeServer, capable: Capable, setting: str) -> None:
    capable.ignores = {setting}
    (reply,) = ask(connect(fake, setting, "seed"), setting)
    assert reply.finish == "stop"
    if setting != "temperature":
        assert probes(fake) == []


def test_an_ignored_seed_is_warned_of_and_no_more(
    fake: FakeServer, capable: Capable, caplog: pytest.LogCaptureFixture
) -> None:
    capable.ignores = {"seed"}
    with caplog.at_level(logging.WARNING, "textmill.models"):
        (reply,) = ask(connect(fake), "seed")
    assert reply.finish == "stop"
    assert [record.getMessage() for record in caplog.records] == [
        "the server ignores seeds: other runs will get other replies"
    ]


@pytest.mark.parametrize("setting", ["stop", "penalties", "response_format"])
def test_a_refused_setting_is_told_by_the_jobs_own_calls(
    fake: FakeServer, capable: Capable, setting: str
) -> None:
    capable.refuses = {setting}
    model = connect(fake)
    plain = Call((Message("user", QUESTION),), Greedy())
    calls = [plain, call(setting)]
    found = {i: replies for done in model.answer(calls) for i, replies in done}
    model.close()
    assert found[0][0].finish == "stop"
    assert found[1][0].error == f"server_error: 400 unknown parameter {setting}"


def test_each_setting_is_tried_once(fake: FakeServer, capable: Capable) -> None:
    model = connect(fake)
    calls = [call("stop", seed) for seed in range(3)]
    for _ in range(2):
        assert sum(len(done) for done in model.answer(calls)) == 3
    model.close()
    assert probes(fake) == [ONE_TO_TWENTY] * 2


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", ["penalties", "seed", "stop", "temperature"]),
        ("Blue.", ["penalties", "seed", "temperature"]),
        ("I do not know.", ["penalties"]),
    ],
)
def test_a_server_that_shows_nothing_either_way_is_let_through(
    fake: FakeServer, text: str, settings: list[str]
) -> None:
    fake.chat = lambda body: (200, completion(text))
    assert [reply.text for reply in ask(connect(fake), *settings)] == [text] * len(settings)


@pytest.mark.parametrize(
    ("text", "reason", "ignored"),
    [
        ('{"probe": 1}', "stop", False),
        ('{"name": "Anna"}', "stop", True),
        ("3", "stop", True),
        ("Anna, 33.", "stop", True),
        ('{"probe": 1', "length", False),
        ("Anna is a name and 33 is", "length", True),
    ],
)
def test_a_form_is_ignored_where_the_reply_cannot_become_it(
    fake: FakeServer, text: str, reason: str, ignored: bool
) -> None:
    fake.chat = lambda body: (200, completion(text, reason))
    model = connect(fake)
    if ignored:
        with pytest.raises(ModelError, match="ignores response_format"):
            next(model.answer([call("response_format")]))
    else:
        assert sum(len(done) for done in model.answer([call("response_format")])) == 1
    model.close()
