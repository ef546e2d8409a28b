"""The server adapter against a fake OpenAI-compatible server on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_server import GOOD_KEY, FakeServer, completion, serving

from chains.calls import Call, Message, Reply
from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.decoding.grammar import guides_for
from chains.models import ModelSpec, fingerprint
from chains.models.server import ServerChat, open_server
from prompts.errors import ModelError, TextmillError, UsageError
from prompts.file_format import Output


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def spec(fake: FakeServer, **changes: Any) -> ModelSpec:
    tolerate = ("penalties", "response_format", "seed", "stop", "temperature")
    data = {"server": f"{fake.address}/v1", "model": "qwen3", "tolerate": tolerate, **changes}
    return ModelSpec(**data)


def connect(fake: FakeServer, **changes: Any) -> ServerChat:
    return open_server(spec(fake, **changes), retries=0)


def ask(model: ServerChat, count: int = 1, decoding: Decoding | None = None) -> list[list[Reply]]:
    calls = [
        Call(
            (Message("system", "Be brief."), Message("user", f"Question {n}")),
            decoding or Sample(),
            n,
        )
        for n in range(count)
    ]
    found: dict[int, list[Reply]] = {}
    for finished in model.answer(calls):
        found.update(finished)
    return [found[index] for index in range(count)]


def error_of(action: Any, *args: Any, **kwargs: Any) -> TextmillError:
    with pytest.raises(TextmillError) as caught:
        action(*args, **kwargs)
    return caught.value


def test_replies_come_back_in_their_places_with_usage(fake: FakeServer) -> None:
    fake.chat = lambda body: (200, completion(body["messages"][-1]["content"] + "!"))
    replies = ask(connect(fake), 20)
    assert [found[0].text for found in replies] == [f"Question {n}!" for n in range(20)]
    assert replies[0] == [Reply("Question 0!", "stop", 11, 3)]


def test_calls_of_a_batch_are_sent_together(fake: FakeServer) -> None:
    import threading

    meet = threading.Barrier(4, timeout=20)

    def chat(body: dict[str, Any]) -> tuple[int, Any]:
        meet.wait()
        return 200, completion("ok")

    fake.chat = chat
    assert len(ask(connect(fake, batch=4), 8)) == 8
    assert fake.busy == 4


def test_settings_and_seed_are_said_in_the_servers_words(fake: FakeServer) -> None:
    settings = Sample(
        temperature=0.8,
        top_p=0.9,
        frequency_penalty=0.2,
        presence_penalty=0.1,
        max_tokens=33,
        stop=("\n\n",),
        n=2,
    )
    call = Call((Message("user", "Hi"),), settings, seed=2**53 - 1)
    ((_, replies),) = [found for done in connect(fake).answer([call]) for found in done]
    assert len(replies) == 2
    sent = fake.requests[0]
    expected = {
        "model": "qwen3",
        "temperature": 0.8,
        "top_p": 0.9,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.1,
        "max_tokens": 33,
        "stop": ["\n\n"],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert {key: sent.get(key) for key in expected} == expected
    seeds = [request["seed"] for request in fake.requests]
    assert 2**31 - 1 in seeds
    assert len(set(seeds)) == 2
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_greedy_is_temperature_zero_without_a_seed(fake: FakeServer) -> None:
    ask(connect(fake), decoding=Greedy(max_tokens=7))
    assert fake.requests[0]["temperature"] == 0
    assert "seed" not in fake.requests[0]


def test_greedy_says_its_penalties_and_biases_go_by_id(fake: FakeServer) -> None:
    settings = Greedy(presence_penalty=0.5, logit_bias={17: -3})  # type: ignore[arg-type]
    ask(connect(fake), decoding=settings)
    sent = fake.requests[0]
    assert (sent["presence_penalty"], sent["logit_bias"]) == (0.5, {"17": -3.0})
    assert "frequency_penalty" not in sent


@pytest.mark.parametrize(
    ("decoding", "problem"),
    [
        (Beam(), "a server cannot decode with strategy 'beam'"),
        (Sample(min_p=0.1), "a server's protocol has no 'min_p'"),
        (Sample(typical_p=0.9), "a server's protocol has no 'typical_p'"),
        (Sample(top_k=40), "a server's protocol has no 'top_k'"),
        (Sample(min_tokens=5), "a server's protocol has no 'min_tokens'"),
        (Greedy(repetition_penalty=1.2), "a server's protocol has no 'repetition_penalty'"),
        (Greedy(bad_words=("b",)), "a server's protocol has no 'bad_words'"),
        (Sample(eta=0.1), "a server's protocol has no 'eta'"),
        (
            Sample(logit_bias={"b": 1}),  # type: ignore[arg-type]
            "a server's logit_bias knows token ids only, not 'b'",
        ),
    ],
)
def test_settings_that_the_protocol_lacks_are_refused_by_name(
    fake: FakeServer, decoding: Decoding, problem: str
) -> None:
    error = error_of(ask, connect(fake), decoding=decoding)
    assert isinstance(error, ModelError)
    assert error.problem == problem
    assert fake.requests == []


def test_a_refused_key_stops_at_once_and_is_never_printed(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake.needs_key = True
    monkeypatch.setenv("TEST_KEY", "sk-secret-987654321")
    error = error_of(connect, fake, api_key="${TEST_KEY}")
    assert isinstance(error, ModelError)
    assert error.problem == "the server refuses the key (401)"
    assert "987654321" not in str(error) + repr(error) + caplog.text


def test_a_key_that_is_refused_later_is_never_printed_either(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret-987654321")
    model = connect(fake, api_key="${TEST_KEY}")
    fake.needs_key = True
    error = error_of(ask, model, 3)
    assert error.problem.startswith("the server fails: refused_key: 401")
    fake.needs_key = False
    fake.chat = lambda body: (500, {"error": {"message": "key sk-secret-987654321 broke it"}})
    (failed,) = ask(model)[0]
    assert failed.error.startswith("server_error: 500")
    everything = f"{error}{model!r}{model.describe()}{model.fingerprint}{failed}{caplog.text}"
    assert "987654321" not in everything


def test_the_key_of_the_environment_is_sent(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.needs_key = True
    monkeypatch.setenv("TEST_KEY", GOOD_KEY)
    assert ask(connect(fake, api_key="${TEST_KEY}"))[0][0].text == "Blue."


def test_no_other_key_is_sent_where_the_job_names_none(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", GOOD_KEY)
    fake.needs_key = True
    assert error_of(connect, fake).problem == "the server refuses the key (401)"


def test_an_unset_key_variable_is_named(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    error = error_of(connect, fake, api_key="${NO_SUCH_KEY}")
    assert isinstance(error, UsageError)
    assert error.problem == "the environment variable NO_SUCH_KEY is not set"


def test_an_unknown_model_lists_the_served_ones(fake: FakeServer) -> None:
    error = error_of(connect, fake, model="qwen4")
    assert error.problem == "the server does not know the model 'qwen4'"
    assert error.fix == "write 'qwen3' (served: llama3, qwen3)"


@pytest.mark.parametrize(("models", "model"), [([], "qwen3"), (["llama3"], "/models/qwen3")])
def test_a_list_that_cannot_know_the_model_refuses_none(
    fake: FakeServer, models: list[str], model: str
) -> None:
    fake.models = models
    assert ask(connect(fake, model=model))[0][0].text == "Blue."


def test_an_address_without_v1_gets_the_hint(fake: FakeServer) -> None:
    error = error_of(connect, fake, server=fake.address)
    assert error.fix == f"write server: {fake.address}/v1"


def test_a_web_page_is_not_a_server(fake: FakeServer) -> None:
    fake.models = "<html><title>Welcome</title></html>"
    error = error_of(connect, fake)
    assert error.problem == "the address answers with a web page, not with JSON"


def test_web_pages_instead_of_replies_stop_the_run(fake: FakeServer) -> None:
    fake.chat = lambda body: (200, "<html>maintenance</html>")
    error = error_of(ask, connect(fake))
    assert "not_json: the server did not answer with a chat completion" in error.problem


def test_a_server_that_is_not_there_is_named(fake: FakeServer) -> None:
    error = error_of(connect, fake, server="http://127.0.0.1:9/v1")
    assert error.problem.startswith("the server cannot be reached")
    assert error.fix == "start the server, or correct the address"


def test_a_certificate_fault_is_told_as_one(fake: FakeServer) -> None:
    error = error_of(connect, fake, server=fake.address.replace("http", "https") + "/v1")
    assert error.problem.startswith("TLS failure")


def test_one_failing_call_is_one_failing_row(fake: FakeServer) -> None:
    def chat(body: dict[str, Any]) -> tuple[int, Any]:
        if body["messages"][-1]["content"] == "Question 2":
            return 500, {"error": {"message": "boom"}}
        return 200, completion("ok")

    fake.chat = chat
    replies = [found[0] for found in ask(connect(fake), 5)]
    assert [reply.finish for reply in replies] == ["stop", "stop", "error", "stop", "stop"]
    assert replies[2].error.startswith("server_error: 500")
    assert "boom" in replies[2].error


def test_a_prompt_that_is_not_unicode_is_one_failing_row(fake: FakeServer) -> None:
    texts = ["fine", "lone \ud800 surrogate"]
    calls = [Call((Message("user", text),), Greedy()) for text in texts]
    replies = {i: found for done in connect(fake).answer(calls) for i, found in done}
    assert replies[0][0].text == "Blue."
    assert replies[1][0].error.startswith("bad_text: the prompt is not Unicode text")


def test_a_server_that_fails_at_every_call_stops_the_run(fake: FakeServer) -> None:
    fake.chat = lambda body: (500, {"error": {"message": "boom"}})
    error = error_of(ask, connect(fake), 3)
    assert isinstance(error, ModelError)
    assert "server_error: 500" in error.problem


def test_persistent_429_stops_the_run_and_says_how_to_go_on(fake: FakeServer) -> None:
    fake.chat = lambda body: (429, {"error": {"message": "quota used up"}})
    error = error_of(ask, connect(fake))
    assert isinstance(error, ModelError)
    assert "429" in error.problem
    assert "textmill resume RUN" in error.fix


def test_a_passing_fault_is_tried_again(fake: FakeServer) -> None:
    answers = [(503, {"error": {"message": "busy"}}), (200, completion("at last"))]
    fake.chat = lambda body: answers.pop(0)
    assert ask(open_server(spec(fake), retries=1))[0][0].text == "at last"


def test_a_prompt_beyond_the_window_is_a_context_overflow(fake: FakeServer) -> None:
    text = "This model's maximum context length is 512 tokens, you asked for 900"
    fake.chat = lambda body: (400, {"error": {"message": text}})
    (reply,) = ask(connect(fake))[0]
    assert reply.error.startswith("context_overflow: ")
    assert "512 tokens" in reply.error


def test_a_filtered_reply_is_an_error_and_a_cut_one_a_length(fake: FakeServer) -> None:
    fake.chat = lambda body: (200, completion("", "content_filter"))
    assert ask(connect(fake))[0][0].error == "content_filter: the server ended the reply"
    fake.chat = lambda body: (200, completion("Blue and", "length"))
    assert ask(connect(fake))[0][0].finish == "length"


def test_window_is_what_the_job_or_the_server_says(fake: FakeServer) -> None:
    assert connect(fake).window == 8192
    fake.window = 4096
    assert connect(fake).window == 4096
    assert connect(fake, window=1000).window == 1000
    fake.window, fake.meta = None, {"n_ctx": 2048, "n_ctx_train": 8192}
    assert connect(fake).window == 2048
    fake.meta = "unknown"
    assert connect(fake).window == 8192


def test_fingerprint_needs_no_server_and_holds_no_credentials(fake: FakeServer) -> None:
    model = connect(fake)
    assert model.fingerprint == fingerprint(model.spec)
    private = ModelSpec(server="http://me:hunter2@example.org/v1/", model="qwen3")
    public = ModelSpec(server="http://example.org/v1", model="qwen3")
    assert fingerprint(private) == fingerprint(public)
    assert fingerprint(public) != model.fingerprint


def test_a_server_model_is_a_langchain_chat_model(fake: FakeServer) -> None:
    message = connect(fake).bind(temperature=0.3, seed=5).invoke("Hi")
    assert message.content == "Blue."
    assert message.usage_metadata == {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14}
    assert (fake.requests[0]["temperature"], fake.requests[0]["seed"]) == (0.3, 5)


def test_a_schema_is_said_and_no_other_form(fake: FakeServer) -> None:
    message = (Message("user", "Hi"),)
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    outputs = [Output(form="json", schema=schema), Output(form="regex", pattern="a+"), Output()]
    for output in outputs:
        call = Call(message, Greedy(max_tokens=9), guides=guides_for(output))
        next(connect(fake).answer([call]))
    said = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    assert [sent.get("response_format") for sent in fake.requests] == [said, None, None]
    assert {sent["max_tokens"] for sent in fake.requests} == {9}
