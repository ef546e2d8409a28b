"""Local causal models: replies, usage, errors of single rows, and bytes of their own."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import edit_json, save_causal, tiny_tokenizer

from chains.calls import Call, Message, Model, Reply
from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.models import ModelSpec, fingerprint, open_model

USER = "Write one sentence about rain."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Model:
    return open_model(ModelSpec(model=str(folder), dtype="float32"))


@pytest.fixture(scope="module")
def embedded() -> Model:
    return open_model(ModelSpec(model="embedded"))


def call(text: str, decoding: Decoding | None = None, seed: int = 0) -> Call:
    return Call((Message("user", text),), decoding or Greedy(max_tokens=12), seed)


def answers(model: Model, calls: Sequence[Call]) -> list[list[Reply]]:
    found: dict[int, list[Reply]] = {}
    for finished in model.answer(calls):
        assert not found.keys() & dict(finished).keys()
        found.update(finished)
    return [found[index] for index in range(len(calls))]


def test_the_embedded_model_answers(embedded: Model) -> None:
    ((reply,),) = answers(embedded, [call(USER, Greedy(max_tokens=40))])
    assert "rain" in reply.text
    assert (reply.finish, reply.prompt_tokens, reply.error) == ("stop", 36, "")
    assert reply.logprob is not None
    assert -60 < reply.logprob < 0
    assert "<|im_end|>" not in reply.text
    about = embedded.describe()
    assert about["model"] == "SmolLM2-135M-Instruct"
    assert (about["engine"], about["license"]) == ("registered attention", "Apache-2.0")
    assert embedded.window == 8192
    assert embedded.fingerprint == fingerprint(ModelSpec(model="embedded"))


@pytest.mark.parametrize("dtype", ["auto", pytest.param("float32", marks=pytest.mark.slow)])
def test_no_batch_size_and_no_neighbour_changes_a_byte(embedded: Any, dtype: str) -> None:
    model: Any = embedded
    if dtype == "float32":
        if embedded.describe()["dtype"] == dtype:
            pytest.skip("the type that 'auto' is on this machine")
        model = open_model(ModelSpec(model="embedded", dtype="float32"))
    # Three prompts share the shape of 64 tokens, two that of 192, one has that of 256, two of 640.
    long = ["a " * 110, "b " * 140, "e " * 210, "c " * 570, "d " * 590]
    texts = ["Name a colour.", "Rain", "Hello!", *long]
    sample = Sample(max_tokens=8, temperature=0.9, top_p=0.95)
    settings: list[Decoding] = [sample, sample, Beam(max_tokens=5, num_beams=3)]
    calls = [call(text, settings[n % 3], seed=n) for n, text in enumerate(texts)]
    replies = []
    for batch in (1, 3, 16):
        order = calls if batch != 3 else calls[::-1]
        found = answers(model.model_copy(update={"capacity": batch}), order)
        replies.append(found if batch != 3 else found[::-1])
    assert all(other == replies[0] for other in replies[1:])
    lengths = [found[0].prompt_tokens for found in replies[0]]
    assert [-(-length // 64) * 64 for length in lengths] == [64, 64, 64, 192, 192, 256, 640, 640]


def test_replies_depend_on_the_seed_and_repeat_with_it(tiny: Model) -> None:
    settings = Sample(max_tokens=20)
    first, again, other = answers(tiny, [call("the cat", settings, seed) for seed in (5, 5, 6)])
    assert first == again
    assert first != other


def test_n_replies_are_those_of_their_seeds_and_raising_n_keeps_the_first(tiny: Model) -> None:
    one, three = answers(tiny, [call("the dog", Sample(max_tokens=9, n=n), 7) for n in (1, 3)])
    assert len(three) == 3
    assert three[0] == one[0]
    assert len({reply.text for reply in three}) == 3


def test_beam_gives_its_n_best(tiny: Model) -> None:
    (replies,) = answers(tiny, [call("the dog", Beam(max_tokens=9, n=3, length_penalty=0.0))])
    scores = [reply.logprob for reply in replies]
    assert len(replies) == 3
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]


def test_usage_counts_prompt_and_reply(tiny: Model) -> None:
    messages = (Message("system", "the mat"), Message("user", "the cat"))
    ((reply,),) = answers(tiny, [Call(messages, Greedy(max_tokens=5))])
    expected = len(tiny_tokenizer()("the mat\n\nthe cat")["input_ids"])
    assert reply.prompt_tokens == tiny.count_tokens(messages) == expected
    assert reply.completion_tokens == 5


def test_a_prompt_beyond_the_window_fails_alone_with_the_counts(tiny: Model) -> None:
    long = "the cat sat on the mat " * 60
    count = tiny.count_tokens((Message("user", long),))
    good, bad, fine = answers(tiny, [call("the cat"), call(long), call("the dog")])
    assert bad[0] == Reply(
        "",
        "error",
        error=f"context_overflow: prompt has {count} tokens, the window holds 256",
    )
    assert [good[0].finish, fine[0].finish] == ["length", "length"]
    assert good == answers(tiny, [call("the cat")])[0]


def test_transformers_does_not_warn_of_a_long_prompt_beside_us(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [caplog.handler])
    folder = save_causal(tmp_path / "tiny")
    edit_json(folder / "tokenizer_config.json", model_max_length=8)
    model = open_model(ModelSpec(model=str(folder), dtype="float32"))
    caplog.clear()
    assert model.count_tokens((Message("user", "the cat sat on the mat " * 60),)) > 256
    assert caplog.messages == []


def test_a_reply_ends_where_the_window_does(folder: Path) -> None:
    model = open_model(ModelSpec(model=str(folder), dtype="float32", window=20))
    assert model.window == 20
    ((reply,),) = answers(model, [call("the cat sat on the mat", Greedy(max_tokens=99))])
    assert reply.finish == "length"
    assert reply.prompt_tokens + reply.completion_tokens == 20


def test_a_window_without_room_for_min_tokens_is_an_overflow(folder: Path) -> None:
    model = open_model(ModelSpec(model=str(folder), dtype="float32", window=20))
    settings = Greedy(min_tokens=19, max_tokens=30)
    ((reply,),) = answers(model, [call("the cat sat on the mat", settings)])
    assert reply.error.startswith("context_overflow: prompt has ")


@pytest.mark.parametrize("text", ["", "lone \ud800 surrogate", "\x00", "🧑‍🚀 שלום\u2028"])
def test_strange_texts_are_answered_or_fail_alone(tiny: Model, text: str) -> None:
    found, neighbour = answers(tiny, [call(text), call("the cat")])
    assert found[0].finish in {"length", "stop"} or found[0].error.startswith("bad_text: ")
    assert found[0].finish != "error" or "\ud800" in text
    assert neighbour == answers(tiny, [call("the cat")])[0]


def test_a_model_without_chat_template_and_pad_token_joins_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_causal(tmp_path, "gpt2")
    tiny_tokenizer().save_pretrained(tmp_path)  # no pad token
    with caplog.at_level(logging.WARNING):
        model = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    assert "has no chat template" in caplog.text
    replies = answers(model, [call("the cat"), call("the dog sat on the mat")])
    assert [found[0].completion_tokens for found in replies] == [12, 12]


TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def rendered(tmp_path: Path, template: str, messages: Sequence[Message]) -> Any:
    save_causal(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(template)
    model: Any = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    return model.prompts.render(messages)


CHAT = (Message("system", "Be brief."), Message("user", "Hi"))


def test_the_tokenizers_chat_template_is_used(tmp_path: Path) -> None:
    assert rendered(tmp_path, TEMPLATE, CHAT) == "<system>Be brief.<user>Hi<assistant>"


def test_documents_cannot_write_the_special_tokens_of_a_template(tmp_path: Path) -> None:
    chat = (Message("user", "a</s><s>b <mark> 1</s"),)
    assert rendered(tmp_path, TEMPLATE, chat) == "<user>a< /s>< s>b <mark> 1</s<assistant>"
    model: Any = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    assert not {0, 1, 2} & set(model.encode(chat))


def test_a_template_without_system_turns_gets_it_in_the_first_user_turn(tmp_path: Path) -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    found = rendered(tmp_path, strict + TEMPLATE, CHAT)
    assert found == "<user>Be brief.\n\nHi<assistant>"


def test_a_template_that_refuses_a_chat_fails_its_row(tmp_path: Path) -> None:
    save_causal(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    model = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    ((reply,),) = answers(model, [call("Hi")])
    assert reply.error == "chat_template: roles must alternate"


def test_every_end_token_of_the_generation_settings_ends_a_reply(tmp_path: Path) -> None:
    save_causal(tmp_path)
    before = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    ((long,),) = answers(before, [call("the cat", Greedy(max_tokens=30))])
    model: Any = before
    tokens = model.prompts._tokenizer(long.text)["input_ids"]
    edit_json(tmp_path / "generation_config.json", eos_token_id=[2, tokens[-4]])
    after = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    ((short,),) = answers(after, [call("the cat", Greedy(max_tokens=30))])
    assert short.finish == "stop"
    assert short.completion_tokens < 30


def test_rows_whose_logits_are_no_numbers_fail_alone(folder: Path) -> None:
    model: Any = open_model(ModelSpec(model=str(folder), dtype="float32"))
    poison = model.encode((Message("user", "q"),))[0]
    expected = answers(model, [call("the cat"), call("the dog")])
    with torch.no_grad():
        model.engine.model.model.embed_tokens.weight[poison] = torch.nan
    replies = answers(model, [call("the cat"), call("q"), call("the dog")])
    assert replies[1][0].error == "nan_logits: the model gave no numbers at token 0"
    assert [replies[0], replies[2]] == expected


def test_one_answer_is_yielded_after_every_batch(folder: Path) -> None:
    model = open_model(ModelSpec(model=str(folder), dtype="float32", batch=3))
    sizes = [len(finished) for finished in model.answer([call(f"cat {n}") for n in range(7)])]
    assert sizes == [3, 3, 1]


def test_weights_are_not_part_of_what_is_printed(tiny: Model) -> None:
    assert "Parameter" not in repr(tiny)
    assert len(repr(tiny)) < 1000
