"""Many calls at once against a server of its own process: pace, faults, balance."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_server import completion, serving

from chains.calls import Call, Message, Reply
from chains.decoding import Greedy
from chains.models import ModelSpec
from chains.models.server import open_server
from chains.models.server_dispatch import AHEAD
from chains.models.server_pace import PATIENCE, Pace, pause
from prompts.errors import ModelError

SLOW = Path(__file__).with_name("slow_server.py")


class Slow:
    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/v1"

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}/stats") as response:
            stats: dict[str, Any] = json.load(response)
        return stats


@contextmanager
def slow(**settings: Any) -> Iterator[Slow]:
    command = [sys.executable, str(SLOW), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Slow(int(process.stdout.readline()))
        finally:
            process.kill()


def calls(count: int) -> list[Call]:
    return [Call((Message("user", f"Question {n}"),), Greedy(max_tokens=9)) for n in range(count)]


def answered(spec: ModelSpec, count: int) -> dict[int, list[Reply]]:
    """The replies, each index exactly once."""
    found: dict[int, list[Reply]] = {}
    model = open_server(spec)
    try:
        for finished in model.answer(calls(count)):
            for index, replies in finished:
                assert index not in found
                found[index] = replies
    finally:
        model.close()
    return found


def test_no_reply_is_lost_or_doubled_through_a_thousand_faults() -> None:
    with slow(latency=0.002, limit=1000, faults=1000) as server:
        spec = ModelSpec(server=server.address, model="m", batch=64, deadline=0.05)
        found = answered(spec, 2400)
        stats = server.stats()
    assert [found[n][0].text for n in range(2400)] == [f"Question {n}!" for n in range(2400)]
    assert sum(stats["injected"].values()) == 1000
    assert min(stats["injected"].values()) == 125
    assert stats["answered"] == 2400


def test_a_server_that_refuses_more_than_so_many_is_kept_full_and_not_pressed() -> None:
    with slow(latency=0.05, limit=32) as server:
        spec = ModelSpec(server=server.address, model="m", batch=48)
        found = answered(spec, 1280)
        stats = server.stats()
    assert len(found) == 1280
    assert stats["peak"] == 32
    assert stats["refused"] < 128


def test_calls_are_shared_out_over_addresses_and_one_that_dies_is_left_out() -> None:
    with slow(latency=0.01, limit=100) as one, slow(latency=0.01, limit=100) as two:
        spec = ModelSpec(server=(one.address, two.address), model="m", batch=8)
        model = open_server(spec)
        assert len([r for done in model.answer(calls(200)) for r in done]) == 200
        shares = [server.stats()["answered"] for server in (one, two)]
        model.close()
    assert sum(shares) == 200
    assert min(shares) > 60


def test_one_of_two_addresses_that_dies_on_the_way_costs_no_reply() -> None:
    with slow(latency=0.01, limit=100) as one:
        with slow(latency=0.01, limit=100) as two:
            spec = ModelSpec(server=(one.address, two.address), model="m", batch=8)
            model = open_server(spec)
            assert len([r for done in model.answer(calls(20)) for r in done]) == 20
        replies = [r for done in model.answer(calls(60)) for _, r in done]
        model.close()
    assert [reply.finish for (reply,) in replies] == ["stop"] * 60


def test_a_server_that_dies_stops_the_run() -> None:
    with slow(latency=0.01, limit=100) as server:
        model = open_server(ModelSpec(server=server.address, model="m", batch=8), retries=1)
        assert len([r for done in model.answer(calls(20)) for r in done]) == 20
    with pytest.raises(ModelError, match=r"the server fails: unreachable"):
        list(model.answer(calls(20)))
    model.close()


def test_who_stops_listening_does_not_wait_for_stalled_calls() -> None:
    with slow(latency=60, limit=100) as server:
        model = open_server(ModelSpec(server=server.address, model="m", batch=8))
        start = time.monotonic()
        answers = model.answer(calls(20))
        assert next(answers) == []
        answers.close()  # type: ignore[attr-defined]
        model.close()
    assert time.monotonic() - start < 5


def test_the_server_is_kept_busy_while_the_caller_writes_down_what_it_got() -> None:
    with slow(latency=0.02, limit=100) as server:
        model = open_server(ModelSpec(server=server.address, model="m", batch=8))
        answers = model.answer(calls(600))
        got = len(next(answers))
        time.sleep(1.0)
        meanwhile = server.stats()["answered"] - got
        got += sum(len(done) for done in answers)
        model.close()
    assert got == 600
    # What lies ready is bounded: so much a kill may lose that the server has been paid for.
    assert 8 < meanwhile <= AHEAD * 8 + 8


def test_replies_that_come_while_the_caller_writes_are_handed_over_at_last() -> None:
    with slow(latency=0.0, limit=64) as server:
        model = open_server(ModelSpec(server=server.address, model="m", batch=8))
        found = []
        try:
            for finished in model.answer(calls(20)):
                found += finished
                time.sleep(0.2)
        finally:
            model.close()
    assert sorted(index for index, _ in found) == list(range(20))


def test_the_last_calls_are_not_held_back_by_a_refusal_that_has_passed() -> None:
    spent = []
    with slow(latency=0.02, limit=1) as server:
        for _ in range(5):
            start = time.monotonic()
            answered(ModelSpec(server=server.address, model="m", batch=2), 2)
            spent.append(time.monotonic() - start)
        assert server.stats()["refused"] >= 5
    assert min(spent) < min(pause(1, number) for number in range(2))


def test_a_call_that_is_given_up_is_not_sent_once_more() -> None:
    calm = threading.Event()
    calm.set()

    def chat(body: dict[str, Any]) -> tuple[int, Any]:
        calm.wait()
        return 200, completion("Blue.")

    with serving(keep_alive=True) as fake:
        fake.chat = chat
        model = open_server(ModelSpec(server=f"{fake.address}/v1", model="qwen3", batch=1))
        assert len([r for done in model.answer(calls(3)) for r in done]) == 3
        calm.clear()
        answers = model.answer(calls(2))
        while len(fake.requests) < 3 + 1:
            assert next(answers) == []
        start = time.monotonic()
        answers.close()  # type: ignore[attr-defined]
        assert time.monotonic() - start < 5
        time.sleep(0.2)
        assert len(fake.requests) == 3 + 1
        calm.set()
        assert len([r for done in model.answer(calls(4)) for r in done]) == 4
        model.close()


def test_what_was_answered_is_handed_over_before_the_run_is_stopped() -> None:
    def chat(body: dict[str, Any]) -> tuple[int, Any]:
        number = int(body["messages"][0]["content"].split()[1])
        return (200, completion("Blue.")) if number < 5 else (403, {"error": "no more"})

    found: list[int] = []

    def collect() -> None:
        for done in model.answer(calls(9)):
            found.extend(index for index, _ in done)

    with serving() as fake:
        fake.chat = chat
        model = open_server(ModelSpec(server=f"{fake.address}/v1", model="qwen3", batch=1))
        with pytest.raises(ModelError, match="no more"):
            collect()
        model.close()
    assert found == [0, 1, 2, 3, 4]


def test_a_key_is_sent_through_a_proxy_to_the_whole_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from chains.models import server_http

    with slow(latency=0, limit=9) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "")
        server_http._proxy.cache_clear()
        try:
            spec = ModelSpec(server="http://models.example/v1", model="m")
            assert answered(spec, 1)[0][0].text == "Question 0!"
        finally:
            server_http._proxy.cache_clear()


def rounds(pace: Pace, count: int, limit: int, seconds: float = 1.0) -> list[int]:
    """The limit after each of `count` rounds against a server that takes `limit` at once."""
    now, limits = 0.0, []
    for _ in range(count):
        sent = int(pace.limit)
        for _ in range(sent):
            pace.sent(now)
        now += seconds
        for _ in range(max(0, sent - limit)):
            pace.refused(now, None)
        for _ in range(min(sent, limit)):
            pace.succeeded(now, seconds)
        limits.append(int(pace.limit))
    return limits


def test_the_pace_doubles_then_settles_at_what_the_server_takes() -> None:
    assert rounds(Pace(48), 4, 32) == [16, 32, 48, 32]
    assert max(rounds(Pace(48), 200, 32)[4:]) == 33
    assert min(rounds(Pace(48), 200, 32)[4:]) == 32


def test_a_round_of_refusals_halves_the_pace_at_most() -> None:
    pace = Pace(64)
    rounds(pace, 3, 64)
    assert pace.limit == 64
    for _ in range(64):
        pace.sent(9.0)
    for _ in range(64):
        pace.refused(9.0, None)
    assert pace.limit == 32


def test_more_calls_in_flight_that_only_wait_longer_are_taken_back() -> None:
    pace, now = Pace(64), 0.0
    limits = []
    for _ in range(PATIENCE):
        sent = int(pace.limit)
        seconds = max(1.0, sent / 16)  # sixteen at a time: the others queue
        for _ in range(sent):
            pace.sent(now)
        now += seconds
        for _ in range(sent):
            pace.succeeded(now, seconds)
        limits.append(int(pace.limit))
    assert limits[:3] == [16, 32, 25]
    assert max(limits[3:]) <= 25


def test_retry_after_rests_the_address() -> None:
    pace = Pace(8)
    pace.sent(0.0)
    pace.refused(1.0, 5.0)
    assert (pace.room(5.9), pace.room(6.0)) == (False, True)


def test_pauses_grow_and_differ_from_call_to_call() -> None:
    assert [pause(n, 3) <= 0.25 * 2**n <= 2 * pause(n, 3) for n in range(6)] == [True] * 6
    assert pause(50, 3) <= 20
    assert len({pause(1, n) for n in range(100)}) == 100
