"""Translators of many languages, with random weights: NLLB, M2M100 and mBART-50."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import edit_json, save_t5
from tiny_translators import CODES, save_translator

from chains.calls import Call, Message, Model, Reply
from chains.decoding import Beam, Decoding, Greedy, Sample, Score
from chains.models import ModelSpec, fingerprint, open_model
from prompts.errors import ModelError

SENTENCES = ["the cat sat on the mat", "a small model writes", "what is this? it is a test."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("translators")
    return {sort: save_translator(root / sort, sort) for sort in CODES}


def spec(folder: Path, codes: tuple[str, str] = ("", ""), **more: Any) -> ModelSpec:
    given = {"model": str(folder), "dtype": "float32", **more}
    return ModelSpec(src_lang=codes[0], tgt_lang=codes[1], **given)


def answers(model: Model, texts: Sequence[str], decoding: Decoding) -> list[Reply]:
    calls = [Call((Message("user", text),), decoding, at) for at, text in enumerate(texts)]
    found = dict(pair for finished in model.answer(calls) for pair in finished)
    return [found[at][0] for at in range(len(texts))]


@pytest.mark.parametrize(
    ("sort", "beams", "turned"),
    [("nllb", 1, False), ("nllb", 3, True), ("m2m", 3, False), ("mbart", 1, True)],
)
def test_translators_of_many_languages_equal_generate(
    folders: dict[str, Path], sort: str, beams: int, turned: bool
) -> None:
    source, target = CODES[sort][::-1] if turned else CODES[sort]
    settings = Greedy(max_tokens=12) if beams == 1 else Beam(max_tokens=12, num_beams=beams)
    found = answers(open_model(spec(folders[sort], (source, target))), SENTENCES, settings)
    twin: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders[sort])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[sort], src_lang=source)
    first = tokenizer.convert_tokens_to_ids(f"__{target}__" if sort == "m2m" else target)
    assert first not in (None, tokenizer.unk_token_id)
    for text, reply in zip(SENTENCES, found, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        assert tokenizer.convert_tokens_to_ids(f"__{source}__" if sort == "m2m" else source) == int(
            inputs.input_ids[0, 0]
        )
        with torch.inference_mode():
            output = twin.generate(
                **inputs,
                num_beams=beams,
                do_sample=False,
                max_new_tokens=12,
                forced_bos_token_id=first,
            )
        assert int(output[0, 1]) == first
        expected = tokenizer.decode(output[0], skip_special_tokens=True)
        assert reply.text == expected.removeprefix(f"__{target}__") != ""
        assert reply.prompt_tokens == inputs.input_ids.shape[1]


def test_the_language_decides_what_is_written(folders: dict[str, Path]) -> None:
    into = {}
    for code in ("fra_Latn", "deu_Latn", "zho_Hans"):
        model = open_model(spec(folders["nllb"], ("eng_Latn", code)))
        replies = answers(model, SENTENCES, Greedy(max_tokens=12))
        into[code] = [reply.text for reply in replies]
    assert len({tuple(texts) for texts in into.values()}) == 3
    assert not any("_Latn" in text for texts in into.values() for text in texts)


def test_one_model_both_ways_has_a_key_of_its_own_for_each(folders: dict[str, Path]) -> None:
    there, back = CODES["nllb"], CODES["nllb"][::-1]
    specs = [spec(folders["nllb"], codes) for codes in (there, back)]
    keys = [fingerprint(each) for each in specs]
    assert len({*keys, fingerprint(spec(folders["nllb"]))}) == 3
    assert [open_model(each).fingerprint for each in specs] == keys


def test_a_target_is_scored_behind_its_language(folders: dict[str, Path]) -> None:
    """Its log-probability is that of the reply, whose first token is forced and costs nothing."""
    model = open_model(spec(folders["nllb"], CODES["nllb"]))
    settings = Score(target="the dog ran")
    call = Call((Message("user", SENTENCES[0]),), settings)
    [(_, [reply])] = [pair for finished in model.answer([call]) for pair in finished]
    twin: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders["nllb"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folders["nllb"], src_lang="eng_Latn", tgt_lang="fra_Latn"
    )
    inputs = tokenizer(SENTENCES[0], return_tensors="pt")
    wanted = tokenizer(text_target="the dog ran")["input_ids"]  # language, text, end
    with torch.inference_mode():
        logits = twin(**inputs, decoder_input_ids=torch.tensor([[2, *wanted[:-1]]])).logits[0]
    each = logits.log_softmax(-1)[range(len(wanted)), wanted]
    assert reply.logprob is not None
    assert reply.logprob == pytest.approx(float(each.sum()), abs=1e-3)


def test_batches_change_nothing(folders: dict[str, Path]) -> None:
    texts = [*SENTENCES, "the cat " * 30]
    found = [
        answers(open_model(spec(folders["nllb"], CODES["nllb"], batch=batch)), texts, decoding)
        for decoding in (Sample(max_tokens=12), Beam(max_tokens=12))
        for batch in (1, 16)
    ]
    assert found[0] == found[1]
    assert found[2] == found[3]


@pytest.mark.parametrize("sort", ["nllb", "m2m"])
def test_languages_that_are_left_out_are_asked_for(folders: dict[str, Path], sort: str) -> None:
    example = "src_lang: {}, tgt_lang: {}".format(*CODES[sort])
    with pytest.raises(ModelError, match=f"many languages, and the job names none.*{example}"):
        open_model(spec(folders[sort]))


def test_a_model_that_was_trained_for_one_language_needs_none(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = save_translator(tmp_path / "tuned", "nllb")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    french = tokenizer.convert_tokens_to_ids("fra_Latn")
    edit_json(folder / "generation_config.json", forced_bos_token_id=french)
    named = open_model(spec(folders["nllb"], CODES["nllb"]))
    settings = Greedy(max_tokens=12)
    assert answers(open_model(spec(folder)), SENTENCES, settings) == answers(
        named, SENTENCES, settings
    )


def test_a_first_token_may_be_token_0(tmp_path: Path) -> None:
    """As in BART's generation settings, whose forced first token is <s>."""
    folder = save_translator(tmp_path / "bart", "mbart")
    free = answers(open_model(spec(folder)), SENTENCES, Greedy(max_tokens=8))
    edit_json(folder / "generation_config.json", forced_bos_token_id=0)
    found = answers(open_model(spec(folder)), SENTENCES, Greedy(max_tokens=8))
    twin: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, reply in zip(SENTENCES, found, strict=True):
        output = twin.generate(
            **tokenizer(text, return_tensors="pt"), do_sample=False, max_new_tokens=8
        )
        assert int(output[0, 1]) == 0
        assert reply.text == tokenizer.decode(output[0], skip_special_tokens=True)
    assert [reply.text for reply in found] != [reply.text for reply in free]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (("eng_Latn", "fre_Latn"), "tgt_lang: it has no language 'fre_Latn'; fix: did you mean"),
        (("english", "fra_Latn"), "src_lang: it has no language 'english'"),
        (("eng_Latn", "<mask>"), "tgt_lang: it has no language '<mask>'"),
    ],
)
def test_a_language_that_the_model_lacks_is_named(
    folders: dict[str, Path], codes: tuple[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        open_model(spec(folders["nllb"], codes))


def test_a_translator_of_one_pair_has_no_codes(tmp_path: Path) -> None:
    folder = save_t5(tmp_path / "t5")
    with pytest.raises(ModelError, match="knows no languages; fix: leave src_lang"):
        open_model(spec(folder, ("en", "fr")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "x/y", "src_lang": "en"}, "go together"),
        ({"model": "embedded", "src_lang": "en", "tgt_lang": "fr"}, "for a translator"),
        ({"model": "scripted", "src_lang": "en", "tgt_lang": "fr"}, "for a translator"),
        ({"model": "a", "server": "http://h/v1", "src_lang": "en", "tgt_lang": "fr"}, "for a tr"),
        ({"model": "x/y", "engine": "vllm", "src_lang": "en", "tgt_lang": "fr"}, "for a transl"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelSpec(**settings)
