"""Strategies made of other calls behind the ledger: what they pay, share, and may name."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from jobs import job_data, launched, loaded_job, prompt_text, write_job

from chains.calls import Call, Message, Reply
from chains.decoding import BestOfN, Greedy, MinimumBayesRisk, NoisyChannel, Sample, Score
from chains.models.scripted import ScriptedChat
from chains.models.spec import ModelSpec
from pipelines.calling import Caller
from pipelines.dry_run import dry_run
from pipelines.job import load_job
from pipelines.ledger import Ledger
from pipelines.rows import Row
from pipelines.runner import identity
from pipelines.stages.base import Ask
from prompts.errors import UsageError

SPECS = {
    "writer": ModelSpec(model="scripted"),
    "back": ModelSpec(model="scripted", replies=("never",)),
}


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield Caller(SPECS, "scripted", ledger)


def call(decoding: Any, text: str = "cat", seed: int = 3) -> Call:
    return Call((Message("user", text),), decoding, seed)


def test_more_candidates_pay_only_what_they_are_more(caller: Caller) -> None:
    caller.answer(Ask("writer", (call(BestOfN(candidates=4)),)))
    assert (caller.meter.calls, caller.meter.known) == (4, 0)
    eight = call(MinimumBayesRisk(candidates=8))
    ((reply,),) = caller.answer(Ask("writer", (eight,)))
    assert (caller.meter.calls, caller.meter.known) == (12, 4)
    assert caller.answer(Ask("writer", (eight,))) == [[reply]]
    assert (caller.meter.calls, caller.meter.known) == (20, 12)


def test_calls_of_all_sorts_are_answered_together_and_in_order(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    plain = ScriptedChat.answer

    def counted(self: ScriptedChat, calls: Sequence[Call]) -> Any:
        batches.append(len(calls))
        return plain(self, calls)

    monkeypatch.setattr(ScriptedChat, "answer", counted)
    calls = (
        call(Greedy()),
        *(call(BestOfN(candidates=3), f"dog {at}") for at in range(5)),
        call(Sample(), "bird"),
    )
    found = caller.answer(Ask("writer", calls))
    assert batches == [1 + 5 * 3 + 1]
    assert found[0] == caller.answer(Ask("writer", calls[:1]))[0]
    assert found[6] == caller.answer(Ask("writer", calls[6:]))[0]
    assert [reply.score is None for (reply,) in found] == [True, *[False] * 5, True]


def test_the_terms_of_a_noisy_channel_go_to_the_models_that_it_names(caller: Caller) -> None:
    decoding = NoisyChannel(candidates=3, channel_model="back")
    ((reply,),) = caller.answer(Ask("writer", (call(decoding),)))
    assert reply.score is not None
    assert caller.meter.calls == 3 + 3 + 3  # drawn, channel, language
    paid = caller.meter.calls - caller.meter.known
    asked = call(Score(target="cat"), reply.text)
    channel = Call((Message("system", decoding.channel_system), *asked.messages), asked.decoding)
    caller.answer(Ask("back", (channel,)))
    assert caller.meter.calls - caller.meter.known == paid, "the channel's call was not known"


def test_a_model_that_the_job_lacks_is_named(caller: Caller) -> None:
    decoding = NoisyChannel(candidates=2, channel_model="bakc")
    with pytest.raises(UsageError, match="unknown model 'bakc'") as caught:
        caller.answer(Ask("writer", (call(decoding),)))
    assert caught.value.fix == "write 'back' (known: back, writer)"


def test_failed_candidates_are_paid_again_and_the_others_are_not(caller: Caller) -> None:
    model = ScriptedChat(script=lambda call: fail() if call.seed % 2 else "text")
    caller._models["writer"] = model
    drawn = call(BestOfN(candidates=6))
    ((reply,),) = caller.answer(Ask("writer", (drawn,)))
    assert (reply.text, reply.finish) == ("text", "stop")
    known = caller.meter.known
    caller.answer(Ask("writer", (drawn,)))
    again = caller.meter.known - known
    assert 0 < again < 6


def fail() -> str:
    raise ValueError("odd")


def decoding_job(decoding: dict[str, Any]) -> dict[str, Any]:
    stage = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}
    return {
        "rows": 6,
        "stages": [{**stage, "decoding": decoding}],
        "prompts": {"ask": prompt_text("Ask about {{ topic }}.", ["topic"])},
    }


def test_a_job_s_rows_record_the_score_and_a_second_run_pays_nothing(tmp_path: Path) -> None:
    changes = decoding_job({"strategy": "best_of_n", "candidates": 5, "n": 2, "by": "logprob"})
    first = launched(tmp_path, "one", **changes)
    assert first.meter.calls - first.meter.known == 8 * 5  # a block of eight rows
    lines = (tmp_path / "one/rows.jsonl").read_text(encoding="utf-8").splitlines()
    events = [Row.from_json(json.loads(line)).history[-1] for line in lines]
    assert [event["score"] == event["logprob"] for event in events] == [True] * 6
    assert {event["strategy"] for event in events} == {"best_of_n"}
    assert [events[at]["score"] >= events[at + 1]["score"] for at in (0, 2, 4)] == [True] * 3
    second = launched(tmp_path, "two", **changes)
    assert second.meter.calls == second.meter.known
    one, two = ((tmp_path / run / "rows.jsonl").read_bytes() for run in ("one", "two"))
    assert one == two


def test_a_job_is_checked_for_the_models_that_a_strategy_names(tmp_path: Path) -> None:
    changes = decoding_job({"strategy": "noisy_channel", "lm_model": "wirter"})
    loaded = load_job(write_job(tmp_path, job_data(**changes)))
    with pytest.raises(UsageError, match="unknown model 'wirter'") as caught:
        loaded.check()
    assert caught.value.key == "stages.0.decoding.lm_model"


def test_models_that_a_strategy_names_count_as_in_use(tmp_path: Path) -> None:
    models = {name: {"model": "scripted"} for name in ("writer", "back", "idle")}
    changes = decoding_job({"strategy": "noisy_channel", "channel_model": "back"})
    assert loaded_job(tmp_path, models=models, **changes).used_models() == ["writer", "back"]


def test_the_embedder_of_a_vote_is_part_of_a_run_s_identity(tmp_path: Path) -> None:
    vote = {"strategy": "mbr", "utility": "embedding", "embedder": "scripted"}
    found = identity(loaded_job(tmp_path, **decoding_job(vote)))["a file that a stage reads"]
    assert found == [MinimumBayesRisk(utility="embedding", embedder="scripted").fingerprint()]
    chrf = identity(loaded_job(tmp_path, **decoding_job({"strategy": "mbr"})))
    assert chrf["a file that a stage reads"] == [""]


def test_where_all_candidates_fail_the_row_is_rejected_for_their_reason(caller: Caller) -> None:
    decoding = NoisyChannel(candidates=2)
    ((reply,),) = caller.answer(Ask("writer", (call(decoding, "cat " * 9000),)))
    assert reply == Reply(
        "", "error", error="context_overflow: prompt has 9000 tokens, the window holds 8192"
    )


def test_a_forecast_counts_the_calls_that_a_strategy_is_made_of(tmp_path: Path) -> None:
    changes = decoding_job({"strategy": "best_of_n", "candidates": 5})
    loaded = loaded_job(tmp_path, **changes)
    forecast = dry_run(loaded, None)["question"]
    assert (forecast.known, forecast.paid, forecast.assumed) == (0, 8 * 5, 0)
    launched(tmp_path, **changes)
    forecast = dry_run(loaded, tmp_path / "ledger.sqlite")["question"]
    assert (forecast.known, forecast.paid, forecast.assumed) == (8 * 5, 0, 0)
