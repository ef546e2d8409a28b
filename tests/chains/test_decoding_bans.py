"""Bad words, repeated sequences and logit bias: by the text, not by the tokenisation."""

import json
import random
from typing import Any

import pytest
import torch
from tiny_models import tiny_causal, tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import NoRepeatNGramLogitsProcessor, PreTrainedTokenizerFast

from chains.calls import Call, Message
from chains.decoding import Beam, Greedy, Sample
from chains.decoding.bans import BadWords, NoRepeatNgram, contains_word
from chains.decoding.bias import LogitBias
from chains.decoding.search import Generated, Request, Vocabulary
from chains.decoding.token_texts import TokenTexts
from chains.engine.plain import PlainEngine
from chains.models.causal import LocalChatModel, vocabulary_of
from chains.models.local import Identity
from chains.models.template import PromptEncoder

WORDS = ("cat", "the test", "café", "ÉCOLE", "猫", "c++")


def sentencepiece_like() -> Any:
    """Spaces are characters of the tokens, and rare characters fall back to bytes."""
    pieces = [chr(97 + place) for place in range(26)] + ["▁"]
    pieces += ["▁the", "▁c", "at", "▁cat", "é", "▁test", "af", "+", "caf", "ts"]
    names = ["<pad>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    merges = [("a", "t"), ("a", "f"), ("t", "s"), ("▁", "c"), ("▁c", "at"), ("c", "af")]
    vocabulary = {name: place for place, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def word_pieces() -> Any:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    texts = ["the cat sat", "a test of cats and cafés", "concatenate the tests"] * 3
    trainer = trainers.WordPieceTrainer(
        vocab_size=80, special_tokens=["[UNK]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[SEP]")


TOKENIZERS = {
    "byte-level": tiny_tokenizer,
    "sentencepiece": sentencepiece_like,
    "wordpiece": word_pieces,
}


def vocabulary_with(tokenizer: Any) -> Any:
    return Vocabulary(
        decode=lambda tokens: decoded(tokenizer, tokens),
        ends=frozenset([tokenizer.eos_token_id]),
        tokenizer=tokenizer,
    )


def decoded(tokenizer: Any, tokens: Any) -> Any:
    return tokenizer.decode(
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


def banned_by(guide: Any, size: int) -> Any:
    scores = torch.zeros(size)
    guide.steer(scores)
    return set((scores == -torch.inf).nonzero().flatten().tolist())


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_pieces_of_tokens_make_the_text(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    pieces = TokenTexts(tokenizer).pieces
    generator = random.Random(1)
    compared = 0
    for _ in range(300):
        tokens = [generator.randrange(len(pieces)) for _ in range(generator.randint(2, 5))]
        tokens = [*tokenizer.encode("the", add_special_tokens=False), *tokens]
        joined = b"".join(pieces[token] for token in tokens).decode("utf-8", "replace")
        text = decoded(tokenizer, tokens)
        if "\ufffd" not in text:  # a byte fallback spoils the whole bytes beside a broken one
            compared += 1
            assert joined.strip() == text.strip()
    assert compared > 5


@pytest.mark.parametrize("name", TOKENIZERS)
def test_exactly_the_tokens_that_complete_a_bad_word_are_banned(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    vocabulary = vocabulary_with(tokenizer)
    start = BadWords(words=WORDS).open(vocabulary, [])
    generator = random.Random(2)
    seen = 0
    for _ in range(150):
        tokens = near_a_word(tokenizer, generator)
        if any(contains_word(decoded(tokenizer, tokens), word) for word in WORDS):
            continue
        guide = start
        for token in tokens:
            guide = guide.follow(token)
        expected = {
            token
            for token in range(len(tokenizer))
            if vocabulary.texts.pieces[token]
            and any(contains_word(decoded(tokenizer, [*tokens, token]), word) for word in WORDS)
        }
        assert banned_by(guide, len(tokenizer)) == expected, decoded(tokenizer, tokens)
        seen += bool(expected)
    assert seen > 60


def near_a_word(tokenizer: Any, generator: random.Random) -> Any:
    """Tokens of a text that ends in the midst of a bad word or of one of its characters."""
    word = generator.choice(WORDS)
    word = generator.choice([word.lower(), word.upper(), word.title()])
    before = generator.choice(["", "a ", "con", "say, ", "x", "bad é"])
    text = before + word[: generator.randint(0, len(word))]
    if generator.random() < 0.5:
        tokens = tokenizer.encode(text, add_special_tokens=False)
    else:
        parts = [tokenizer.encode(part, add_special_tokens=False) for part in text]
        tokens = [token for part in parts for token in part]
    tokens = [token for token in tokens if token != tokenizer.unk_token_id]
    return tokens[: len(tokens) - generator.randint(0, 2)]


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("A CAT.", "cat", True),
        ("concatenate cats cat_2 cat9", "cat", False),
        ("the cat's", "cat", True),
        ("Straße", "STRASSE", True),
        ("黒猫が", "猫", True),
        ("uses c++.", "C++", True),
        ("as an AI", "as an ai", True),
        ("has an AI", "as an ai", False),
    ],
)
def test_a_word_is_found_where_it_stands_by_itself(text: str, word: str, expected: bool) -> None:
    assert contains_word(text, word) is expected


def eager(settings: Any, vocabulary: Any, size: int, room: int = 40, rows: int = 150) -> Any:
    """Replies of a model that loves the letters of "cat" and "test", in any tokenisation."""
    logits = torch.full((size,), -30.0)
    for token in range(size):
        text = vocabulary.texts.folded[token].text
        if text and set(text) <= set("cates h\u00e9"):
            logits[token] = 0.0
    search = settings.search(vocabulary)
    guides = tuple(each.open(vocabulary, (5,)) for each in settings.guides())
    search.admit([Request((5,), seed, room, guides=guides) for seed in range(rows)])
    move, found = search.advance(logits.repeat(rows, 1)), {}
    while move.parents:
        move = search.advance(logits.repeat(len(move.parents), 1))
    found.update(search.take())
    return [sequence for sequences in found.values() for sequence in sequences]


@pytest.mark.parametrize(
    "settings",
    [Sample(bad_words=("cat", "the test")), Beam(num_beams=3, n=3, bad_words=("cat", "he"))],
    ids=["sample", "beam"],
)
def test_bad_words_never_come_however_much_the_model_wants_them(settings: Any) -> None:
    tokenizer = tiny_tokenizer()
    vocabulary = vocabulary_with(tokenizer)
    rows = 150 if isinstance(settings, Sample) else 4
    free = eager(settings.model_copy(update={"bad_words": ()}), vocabulary, 320, rows=rows)
    held = eager(settings, vocabulary, 320, rows=rows)
    words = settings.bad_words

    def holding(sequences: Any) -> Any:
        return [s.text for s in sequences if any(contains_word(s.text, word) for word in words)]

    assert isinstance(settings, Beam) or len(holding(free)) > 20
    assert holding(held) == []
    assert {sequence.finish for sequence in held} == {"length"}


def test_a_word_that_a_cut_leaves_is_an_error_and_no_reply() -> None:
    guide = BadWords(words=("Cat",)).open(vocabulary_with(tiny_tokenizer()), [])
    found = guide.finish(Generated("a cat", "stop", (7, 8), -1.0))
    assert (found.finish, found.text) == ("error", "")
    assert found.error == "bad_word: the text was cut in a word, which left 'cat'"
    assert guide.finish(Generated("a cats", "stop")).text == "a cats"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_banned_repetitions_are_those_of_transformers(size: int) -> None:
    generator = random.Random(size)
    vocabulary = Vocabulary(decode=str, ends=frozenset())
    processor = NoRepeatNGramLogitsProcessor(size)
    for _ in range(40):
        length = generator.randint(1, 12)
        tokens = [generator.randrange(4) for _ in range(length + 15)]
        guide = NoRepeatNgram(size=size).open(vocabulary, tokens[:length])
        for stop in range(length, len(tokens)):
            expected = processor(torch.tensor([tokens[:stop]]), torch.zeros(1, 6))[0]
            assert banned_by(guide, 6) == set((expected == -torch.inf).nonzero().flatten().tolist())
            guide = guide.follow(tokens[stop])


def test_branches_of_a_reply_know_their_own_past_alone() -> None:
    start = NoRepeatNgram(size=2).open(Vocabulary(decode=str, ends=frozenset()), [1, 2])
    left, right = start.follow(3), start.follow(4)
    assert banned_by(left.follow(2), 6) == {3}
    assert banned_by(right.follow(2), 6) == {4}
    assert banned_by(start, 6) == set()


def test_an_end_token_may_always_come_again() -> None:
    vocabulary = Vocabulary(decode=str, ends=frozenset([0]))
    guide = NoRepeatNgram(size=2).open(vocabulary, [3, 0, 5, 3])
    assert banned_by(guide, 6) == set()


def test_the_source_of_an_encoder_decoder_model_may_be_repeated() -> None:
    vocabulary = Vocabulary(decode=str, ends=frozenset(), continues=False)
    guide = NoRepeatNgram(size=2).open(vocabulary, [3, 4, 3])
    assert banned_by(guide.follow(3), 6) == set()
    assert banned_by(guide.follow(3).follow(4).follow(3), 6) == {4}


def test_biases_are_added_by_id_and_by_text() -> None:
    tokenizer = tiny_tokenizer()
    the = tokenizer.encode(" the", add_special_tokens=False)
    assert len(the) == 1
    settings = Greedy(logit_bias={" the": 2.5, 7: -1, "</s>": -100})  # type: ignore[arg-type]
    (bias,) = settings.guides()
    scores = torch.ones(320)
    guide = bias.open(vocabulary_with(tokenizer), (1,))
    guide.follow(3).steer(scores)
    changed = {int(token): float(scores[token]) for token in (scores != 1).nonzero()}
    assert changed == {the[0]: 3.5, 7: 0.0, tokenizer.eos_token_id: -99.0}


@pytest.mark.parametrize(
    ("biases", "problem"),
    [
        ({"the cat ran": 1}, "'the cat ran' of logit_bias is not one token but "),
        ({320: 1}, "logit_bias names token 320, the model has 320"),
        ({" the": 1, 0: 2}, ""),
        ({" the": 1, "id": 2}, "twice"),
    ],
)
def test_a_bias_of_no_token_cannot_be_opened(biases: Any, problem: str) -> None:
    tokenizer = tiny_tokenizer()
    if "id" in biases:
        biases = {" the": 1, tokenizer.encode(" the", add_special_tokens=False)[0]: 2}
    settings = LogitBias(entries=biases)
    if not problem:
        settings.open(vocabulary_with(tokenizer), (1,))
        return
    with pytest.raises(ValueError, match=problem):
        settings.open(vocabulary_with(tokenizer), (1,))


def test_biases_are_the_same_in_any_order_and_keep_numbers_apart_from_text() -> None:
    one = Sample(logit_bias={"7": 1, 7: 2, "b": 3})  # type: ignore[arg-type]
    other = Sample(logit_bias={"b": 3, 7: 2, "7": 1})  # type: ignore[arg-type]
    assert one == other
    assert hash(one) == hash(other)
    assert one.logit_bias == ((7, 2.0), ("7", 1.0), ("b", 3.0))
    assert Sample(**json.loads(json.dumps(one.model_dump(mode="json")))) == one


def test_the_key_says_which_guides_there_are() -> None:
    key = Greedy(bad_words=("b",), no_repeat_ngram_size=3).key()
    assert key["guides"] == {"no_repeat_ngram": 1, "bad_words": 1}
    assert "guides" not in Greedy().key()


def tiny_chat() -> Any:
    tokenizer = tiny_tokenizer(pad_token="<pad>")
    model = tiny_causal()
    return LocalChatModel(
        engine=PlainEngine(model),
        vocabulary=vocabulary_of(model, tokenizer),
        identity=Identity("tiny", "f", "", "float32", "cpu", ""),
        longest=256,
        prompts=PromptEncoder(tokenizer, "tiny"),
    )


def replies(model: Any, *settings: Any) -> Any:
    calls = [Call((Message("user", "the cat sat"),), each, seed=3) for each in settings]
    found = {index: made for batch in model.answer(calls) for index, made in batch}
    return [found[index][0] for index in range(len(calls))]


def test_bans_and_biases_of_settings_reach_a_local_model() -> None:
    biased = Greedy(max_tokens=12, logit_bias={" the": 100})  # type: ignore[arg-type]
    plain, without, unrepeated = replies(
        tiny_chat(),
        biased,
        biased.model_copy(update={"bad_words": ("The",)}),
        biased.model_copy(update={"no_repeat_ngram_size": 3}),
    )
    assert plain.text == " the" * 12
    assert without.completion_tokens == 12
    assert not contains_word(without.text, "the")
    assert " the the the" in unrepeated.text
    assert " the the the the" not in unrepeated.text


def test_a_call_that_cannot_be_guided_fails_alone() -> None:
    bad = Greedy(max_tokens=4, logit_bias={"the cat ran": 1})  # type: ignore[arg-type]
    refused, answered = replies(tiny_chat(), bad, Greedy(max_tokens=4))
    assert refused.finish == "error"
    assert refused.error.startswith("not_guidable: 'the cat ran' of logit_bias is not one token")
    assert answered.finish in {"stop", "length"}
