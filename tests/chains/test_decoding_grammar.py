import json
from typing import Any

import pytest
import torch
import transformers
from table_engine import TableEngine, decode, letters, random_table
from tiny_models import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers

from chains.calls import Call, Message
from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings, guides_for, refuse_conflicts
from chains.decoding.search import Request, Vocabulary
from chains.models import open_model
from chains.models.spec import ModelSpec
from chains.parsing import ParsedValue, ParseFault, parse_reply
from prompts.errors import UsageError
from prompts.file_format import Output

WIDTH = 330  # ten more than the tokenizer knows, as in models with a padded output layer
ENDS = (0, 2)
NESTED = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "size": {
            "type": "object",
            "properties": {"width": {"type": "number"}, "unit": {"enum": ["cm", "m"]}},
            "required": ["width", "unit"],
        },
    },
    "required": ["name", "size"],
}
CHOSEN = {
    "type": "object",
    "properties": {"kind": {"enum": ["cat", "dog", 7, None]}, "sure": {"type": "boolean"}},
    "required": ["kind"],
}
LISTED = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"word": {"type": "string", "pattern": "^[a-z]{1,6}$"}, "count": {}},
        "required": ["word"],
    },
    "minItems": 1,
    "maxItems": 3,
}
NUMBERS = {"type": "array", "items": {"type": ["integer", "number"]}, "minItems": 2, "maxItems": 4}


def vocabulary(tokenizer: Any = None, **more: Any) -> Vocabulary:
    tokenizer = tokenizer or tiny_tokenizer(pad_token="<pad>")

    def text(tokens: Any) -> str:
        found: str = tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return found

    return Vocabulary(decode=text, ends=frozenset(ENDS), tokenizer=tokenizer, **more)


KNOWN = vocabulary()


def token(text: str) -> int:
    found: list[int] = KNOWN.tokenizer(text, add_special_tokens=False).input_ids
    assert len(found) == 1
    return found[0]


def opened(output: Output, known: Vocabulary = KNOWN) -> Any:
    (settings,) = guides_for(output)
    return settings.open(known, ())


def possible(guide: Any) -> set[int]:
    scores = torch.zeros(WIDTH)
    guide.steer(scores)
    assert set(scores.unique().tolist()) <= {0.0, -torch.inf}
    return set((scores == 0).nonzero()[:, 0].tolist())


def replies(
    output: Output,
    decoding: Decoding,
    seeds: range,
    room: int = 120,
    known: Vocabulary = KNOWN,
) -> list[Any]:
    """What a model with random logits writes, one row for every seed."""
    guide = opened(output, known)
    tasks = [(decoding, Request((seed,), seed, room, guides=(guide,))) for seed in seeds]
    found = decode(TableEngine(random_table(WIDTH, 5)), tasks, known)
    return [sequence for sequences in found for sequence in sequences]


def regex_of(pattern: str) -> Output:
    return Output(form="regex", pattern=pattern)


@pytest.mark.parametrize("schema", [NESTED, CHOSEN, LISTED, NUMBERS])
@pytest.mark.parametrize(
    ("decoding", "rows"),
    [(Sample(temperature=2.0, max_tokens=120), 80), (Beam(num_beams=3, n=2, max_tokens=120), 6)],
    ids=["sample", "beam"],
)
def test_every_finished_reply_of_a_random_model_validates(
    schema: Any, decoding: Decoding, rows: int
) -> None:
    output = Output(form="json", schema=schema)
    found = replies(output, decoding, range(3, 3 + rows))
    finished = [sequence for sequence in found if sequence.finish == "stop"]
    assert len(finished) >= 0.5 * len(found)
    assert [s for s in finished if not isinstance(parse_reply(output, s.text), ParsedValue)] == []
    assert {s.finish for s in found} <= {"stop", "length"}


def sentence_piece() -> Any:
    """A tokenizer of Llama 2's kind: "\u2581" for a blank, unknown characters as bytes."""
    pieces = [*'{}[],:"0123456789.-', *"abcdefghijklmnopqrstuvwxyz", "\u2581", "\u2581the"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    tokens += ["\u2581t", "he"]
    model = models.BPE(
        vocab={text: number for number, text in enumerate(tokens)},
        merges=[("\u2581", "t"), ("h", "e"), ("\u2581t", "he")],
        byte_fallback=True,
        unk_token="<unk>",
    )
    tokenizer = Tokenizer(model)
    blanks = [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    tokenizer.normalizer = normalizers.Sequence(blanks)
    parts = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.mark.parametrize(
    "output",
    [
        Output(form="json", schema=NESTED),
        Output(form="choice", choices=("the cat", "\u00e9 \u00fc")),
        Output(form="regex", pattern="the [a-c ]{3,6}[.]"),
    ],
    ids=lambda output: output.form,
)
def test_tokenizers_with_blanks_of_their_own_and_bytes_are_held_to_the_form_too(
    output: Output,
) -> None:
    known = vocabulary(sentence_piece())
    found = replies(output, Sample(temperature=2.0, max_tokens=90), range(3, 33), 90, known)
    finished = [sequence for sequence in found if sequence.finish == "stop"]
    assert len(finished) > 20
    assert [s for s in finished if not isinstance(parse_reply(output, s.text), ParsedValue)] == []


def test_a_free_object_can_fail_by_a_repeated_key_alone() -> None:
    output = Output(form="json")
    found = replies(output, Sample(temperature=2.0, max_tokens=60), range(3, 60), room=60)
    finished = [parse_reply(output, s.text) for s in found if s.finish == "stop"]
    assert len(finished) > 20
    faults = {parsed.reason for parsed in finished if isinstance(parsed, ParseFault)}
    assert faults <= {"duplicate_keys"}


def test_a_choice_is_one_of_the_texts_also_where_one_begins_another() -> None:
    choices = ("yes", "yes, but", 'a "quoted"\nline \\ é', "no")
    output = Output(form="choice", choices=choices)
    found = replies(output, Sample(temperature=2.0, max_tokens=40), range(3, 43))
    assert {sequence.finish for sequence in found} == {"stop"}
    assert {sequence.text for sequence in found} == set(choices)


def test_a_regular_expression_matches_the_whole_reply() -> None:
    output = regex_of(r"[A-Z]{2}-\d{2,3}( é[^a-z])?")
    found = replies(output, Sample(temperature=2.0, max_tokens=40), range(3, 43))
    assert {sequence.finish for sequence in found} == {"stop"}
    assert all(isinstance(parse_reply(output, s.text), ParsedValue) for s in found)
    assert len({len(sequence.text) for sequence in found}) > 1


def test_a_reply_that_cannot_go_on_ends_without_an_end_token() -> None:
    (sequence,) = replies(regex_of("cat"), Greedy(max_tokens=9), range(3, 4))
    assert (sequence.text, sequence.finish) == ("cat", "stop")
    assert set(sequence.tokens).isdisjoint(ENDS)
    assert opened(regex_of("cat")).follow(token("c")).verdict() is None


def test_all_end_tokens_are_possible_exactly_when_the_reply_is_complete() -> None:
    guide = opened(regex_of("(ab)+"))
    assert possible(guide) == {token("a")}
    half = guide.follow(token("a"))
    assert possible(half) == {token("b")}
    whole = half.follow(token("b"))
    assert possible(whole) == {token("a"), *ENDS}
    assert whole.verdict() is None
    assert whole.follow(ENDS[0]).verdict() is None


def test_following_leaves_the_guide_for_other_branches() -> None:
    guide = opened(Output(form="choice", choices=("ax", "bx")))
    left, right = guide.follow(token("a")), guide.follow(token("b"))
    assert possible(guide) == {token("a"), token("b")}
    assert possible(left) == possible(right) == {token("x")}
    assert left.follow(token("x")).verdict() == "stop"
    assert left.verdict() is None


def test_a_sequence_that_left_the_grammar_has_no_next_token() -> None:
    lost = opened(regex_of("ab")).follow(token("b"))
    assert possible(lost) == set()
    assert lost.verdict() is None


def test_bans_of_others_stay() -> None:
    scores = torch.zeros(WIDTH)
    scores[token("a")] = -torch.inf
    opened(regex_of("[ab]")).steer(scores)
    assert (scores == 0).nonzero()[:, 0].tolist() == [token("b")]


def test_a_token_that_the_model_has_to_begin_with_is_not_of_the_grammar() -> None:
    guide = opened(regex_of("a"), vocabulary(first=1))
    assert possible(guide) == set(range(WIDTH))
    assert possible(guide.follow(1)) == {token("a")}


def test_a_guide_steers_its_own_row_alone() -> None:
    settings = Sample(max_tokens=12)
    guided = (settings, Request((4,), 4, 12, guides=(opened(regex_of("[ab]{12}")),)))
    free = (settings, Request((5,), 5, 12))
    engine = TableEngine(random_table(320, 1))
    alone = [*decode(engine, [guided], KNOWN), *decode(engine, [free], KNOWN)]
    assert decode(engine, [guided, free], KNOWN) == alone
    assert set(alone[0][0].text) == {"a", "b"}


def test_a_cut_reply_is_said_to_be_cut_and_not_read() -> None:
    output = Output(form="json", schema=NESTED)
    (sequence,) = replies(output, Greedy(max_tokens=5), range(3, 4), room=5)
    assert sequence.finish == "length"
    parsed = parse_reply(output, sequence.text)
    assert isinstance(parsed, ParseFault)
    assert parsed.reason == "cut_json"


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        (letters(), "the model has no tokenizer of the package tokenizers"),
        (Vocabulary(decode=str, ends=frozenset(), tokenizer=object()), "the model has no tokeni"),
    ],
)
def test_tokens_that_are_not_known_cannot_be_guided(known: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        opened(regex_of("a"), known)


def test_a_grammar_is_data_and_in_the_key_in_the_order_of_the_schema() -> None:
    output = Output(form="json", schema={"properties": {"b": {}, "a": {}}, "type": "object"})
    (settings,) = guides_for(output)
    assert settings.key() == {
        "kind": "grammar",
        "form": "json",
        "source": '{"properties": {"b": {}, "a": {}}, "type": "object"}',
        "engine": 1,
    }
    assert settings == GrammarSettings(form="json", source=settings.key()["source"])
    assert guides_for(Output()) == guides_for(Output(form="code", language="python")) == ()


@pytest.mark.parametrize(
    ("decoding", "key"), [(Sample(min_tokens=2), "min_tokens"), (Greedy(stop=("#",)), "stop")]
)
def test_settings_that_end_a_reply_elsewhere_are_refused(decoding: Decoding, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_conflicts(regex_of("a+"), decoding)
    assert caught.value.key == f"decoding.{key}"
    assert caught.value.problem.startswith(f"{key} cannot be kept with output form regex")
    refuse_conflicts(Output(), decoding)
    refuse_conflicts(regex_of("a+"), Greedy())


def test_the_embedded_model_writes_what_the_schema_asks_for() -> None:
    schema = {
        "type": "object",
        "properties": {
            "mood": {"enum": ["good", "bad"]},
            "words": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3},
        },
        "required": ["mood", "words"],
    }
    output = Output(form="json", schema=schema)
    ask = (Message("user", "Review: The soup was cold. Give its mood and some of its words."),)
    settings = Sample(max_tokens=60)
    calls = [Call(ask, settings, seed, guides_for(output)) for seed in range(6)]
    found = dict(
        pair for part in open_model(ModelSpec(model="embedded")).answer(calls) for pair in part
    )
    assert {reply.finish for (reply,) in found.values()} == {"stop"}
    for (reply,) in found.values():
        assert list(json.loads(reply.text)) == ["mood", "words"]
        assert parse_reply(output, reply.text) == ParsedValue(json.loads(reply.text))
    assert len({reply.text for (reply,) in found.values()}) > 1
