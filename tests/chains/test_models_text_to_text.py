"""Encoder-decoder models: T5 with random weights, and the trained Marian pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import save_t5

from chains.calls import Call, Message, Model, Reply
from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.models import ModelSpec, open_model

SENTENCES = [
    "A man is sitting on a bench.",
    "Two dogs play in the snow.",
    "A woman in a red coat walks along a busy street with an umbrella.",
    "Children are playing football in the park.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_t5(tmp_path_factory.mktemp("models") / "t5")


def answers(model: Model, calls: Sequence[Call]) -> list[list[Reply]]:
    found: dict[int, list[Reply]] = {}
    for finished in model.answer(calls):
        found.update(finished)
    return [found[index] for index in range(len(calls))]


def calls_of(texts: Sequence[str], decoding: Decoding, seed: int = 0) -> list[Call]:
    return [Call((Message("user", text),), decoding, seed + n) for n, text in enumerate(texts)]


def texts_of(replies: list[list[Reply]]) -> list[str]:
    return [found[0].text for found in replies]


@pytest.mark.parametrize("beams", [1, 4])
def test_t5_equals_generate(folder: Path, beams: int) -> None:
    settings = Greedy(max_tokens=20) if beams == 1 else Beam(max_tokens=20, num_beams=beams)
    model = open_model(ModelSpec(model=str(folder), dtype="float32"))
    assert model.describe()["engine"] == "encoder-decoder"
    found = answers(model, calls_of(SENTENCES, settings))
    twin: Any = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, (reply,) in zip(SENTENCES, found, strict=True):
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            output = twin.generate(
                ids, num_beams=beams, do_sample=False, max_new_tokens=20, bad_words_ids=[[0]]
            )
        expected = tokenizer.decode(output[0], skip_special_tokens=True)
        assert reply.text == expected.rstrip("\ufffd")
        assert reply.prompt_tokens == ids.shape[1]


@pytest.fixture(scope="module")
def marian(test_data: Path) -> dict[str, Model]:
    names = {"en_fr": "marian-multi30k-en-fr", "fr_en": "marian-multi30k-fr-en"}
    return {
        key: open_model(ModelSpec(model=str(test_data / "models" / name), dtype="float32"))
        for key, name in names.items()
    }


@pytest.mark.parametrize("settings", [Greedy(), Beam(num_beams=4)], ids=["greedy", "beam"])
def test_marian_equals_generate(marian: dict[str, Model], test_data: Path, settings: Any) -> None:
    found = texts_of(answers(marian["en_fr"], calls_of(SENTENCES, settings)))
    folder = test_data / "models" / "marian-multi30k-en-fr"
    model: Any = marian["en_fr"]
    twin: Any = transformers.MarianMTModel.from_pretrained(folder, dtype=torch.float32)
    expected = []
    for text in SENTENCES:
        ids = model.tokenizer(text, return_tensors="pt")
        output = twin.generate(
            **ids, num_beams=getattr(settings, "num_beams", 1), do_sample=False, max_new_tokens=200
        )
        expected.append(model.tokenizer.decode(output[0], skip_special_tokens=True))
    assert found == expected
    assert found[0] == "Un homme est assis sur un banc."


def test_a_sentence_comes_back_from_its_translation(marian: dict[str, Model]) -> None:
    beam = Beam(num_beams=4)
    french = texts_of(answers(marian["en_fr"], calls_of(SENTENCES[:2], beam)))
    back = texts_of(answers(marian["fr_en"], calls_of(french, beam)))
    assert back[0] == "A man is sitting on a bench."


def test_the_last_message_is_the_source(marian: dict[str, Model]) -> None:
    chat = (Message("system", "Translate."), Message("user", SENTENCES[0]))
    ((reply,),) = answers(marian["en_fr"], [Call(chat, Greedy())])
    assert reply.text == "Un homme est assis sur un banc."


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_translations_do_not_depend_on_batch_or_neighbours(test_data: Path, dtype: str) -> None:
    folder = str(test_data / "models" / "marian-multi30k-en-fr")
    settings: list[Decoding] = [Sample(temperature=1.2), Greedy(), Beam(num_beams=3)]
    calls = [
        Call((Message("user", text),), settings[n % 3], n)
        for n, text in enumerate([*SENTENCES, "A dog runs. " * 12, "The cat sleeps. " * 14])
    ]
    replies = []
    for batch in (1, 3, 16):
        model = open_model(ModelSpec(model=folder, dtype=dtype, batch=batch))  # type: ignore[arg-type]
        replies.append(answers(model, calls))
    assert replies[1] == replies[0] == replies[2]


def test_seeds_draw_different_translations(marian: dict[str, Model]) -> None:
    settings = Sample(temperature=1.5)
    one, same, other = (
        texts_of(answers(marian["en_fr"], calls_of([SENTENCES[2]], settings, seed)))
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_source_beyond_the_window_fails_alone(marian: dict[str, Model]) -> None:
    long = "A man is sitting. " * 100
    good, bad = answers(marian["en_fr"], calls_of([SENTENCES[0], long], Greedy()))
    assert good[0].text == "Un homme est assis sur un banc."
    count = marian["en_fr"].count_tokens((Message("user", long),))
    assert bad[0].error == f"context_overflow: prompt has {count} tokens, the window holds 256"
    assert marian["en_fr"].window == 256
