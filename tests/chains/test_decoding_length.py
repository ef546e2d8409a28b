"""The length guide: windows in words, tokens and sentences, held to by every strategy."""

from typing import Any

import pytest
import torch
from table_engine import TableEngine, decode
from tiny_models import tiny_causal, tiny_tokenizer

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.growing_text import GrowingText
from chains.decoding.length import LengthGuide
from chains.decoding.search import Request, Vocabulary
from chains.decoding.sentence_marks import marks_of
from chains.engine.attention_engine import AttentionEngine
from chains.engine.batches import decode_all
from chains.models.causal import vocabulary_of
from chains.text.measuring import measure
from chains.text.sentences import finished

PIECES = ["</s>", " red", " big", "der", ".", ",", "\n", ' "', '."', ".", '"']
END, RED, BIG, DER, STOP, COMMA, LINE, OPEN, CLOSED, DOT, QUOTE = range(len(PIECES))
WORDS = Vocabulary(
    decode=lambda tokens: "".join(PIECES[token] for token in tokens), ends=frozenset({END})
)


def writing(*likely: int, other: float = 0.0) -> TableEngine:
    """An engine that finds those tokens likely at every step, the first one most."""

    def logits(_: Any) -> list[float]:
        found = [other - 9.0] * len(PIECES)
        for place, token in enumerate(likely):
            found[token] = 6.0 - 2 * place
        return found

    return TableEngine(logits)


def reply(engine: Any, guide: LengthGuide, settings: Any = None, seed: int = 5) -> Any:
    settings = settings or Greedy(max_tokens=60)
    request = Request((RED,), seed, settings.max_tokens, guides=(guide.open(WORDS, (RED,)),))
    return decode(engine, [(settings, request)], WORDS)[0][0]


@pytest.mark.parametrize("settings", [Greedy(max_tokens=60), Beam(max_tokens=60), Sample()])
def test_a_reply_ends_behind_a_sentence_inside_the_window(settings: Any) -> None:
    found = reply(writing(RED, STOP), LengthGuide(min=9, max=11, target=10), settings)
    assert found.finish == "stop"
    assert 9 <= measure(found.text, "words") <= 11
    assert found.text.endswith(" red.")


def test_no_end_token_comes_before_the_minimum() -> None:
    engine = writing(END, RED)
    assert reply(engine, LengthGuide(min=4)).text == " red" * 4
    assert reply(engine, LengthGuide(min=4, minimum=False)).text == ""


def test_a_stop_string_before_the_minimum_is_text() -> None:
    engine = writing(LINE, RED)
    settings = Sample(max_tokens=200, stop=("\n",), temperature=2)
    text = reply(engine, LengthGuide(min=3, maximum=False, pull=False), settings).text
    assert measure(text, "words") >= 3
    assert "\n" in text


def test_the_maximum_cuts_before_the_word_that_goes_beyond() -> None:
    found = reply(writing(RED, other=-99.0), LengthGuide(max=5))
    assert (found.text, found.finish, len(found.tokens)) == (" red" * 5, "length", 6)


def test_no_sentence_end_is_forced_where_the_model_sees_none() -> None:
    found = reply(writing(RED, BIG), LengthGuide(min=4, max=5, target=5))
    assert (found.finish, found.text.count(".")) == ("length", 0)


def test_a_word_may_grow_at_the_maximum() -> None:
    def logits(tokens: tuple[int, ...]) -> list[float]:
        found = [-9.0] * len(PIECES)
        found[{0: BIG, 1: RED, 2: BIG, 3: DER}.get(len(tokens) - 1, RED)] = 9.0
        if len(tokens) > 4:
            found[STOP] = 8.0
        return found

    found = reply(TableEngine(logits), LengthGuide(min=3, max=3, target=3))
    assert (found.text, found.finish) == (" big red bigder.", "stop")


def test_a_sentence_that_would_end_too_early_is_held_open() -> None:
    engine = writing(RED, STOP, COMMA)
    scores = torch.zeros(len(PIECES))
    guide: Any = LengthGuide(min=18, max=22, target=20).open(WORDS, ())
    for _ in range(14):
        guide = guide.follow(RED)
    guide.steer(scores)
    assert scores[STOP] < scores[COMMA] == 0
    assert reply(engine, LengthGuide(min=18, max=22)).text.count(".") == 1


def test_the_pull_rises_towards_the_end_of_the_window() -> None:
    guide: Any = LengthGuide(min=4, max=8, target=6).open(WORDS, ())
    pulls = []
    for _ in range(8):
        guide = guide.follow(RED)
        scores = torch.zeros(len(PIECES))
        guide.steer(scores)
        pulls.append(float(scores[STOP]))
    assert pulls[3:] == sorted(pulls[3:])
    assert pulls[3] > 0


def test_the_end_becomes_likelier_up_to_the_target() -> None:
    settings = LengthGuide(min=40, max=80, target=60)
    chances = []
    for words in (40, 50, 59):
        guide: Any = settings.open(WORDS, ())
        for token in [RED] * words + [STOP]:
            guide = guide.follow(token)
        scores = torch.zeros(len(PIECES))
        guide.steer(scores)
        chances.append(float(scores.softmax(-1)[END]))
    assert chances == sorted(chances)
    assert chances[0] == pytest.approx(0.1, abs=0.07)  # not below what the model gives it
    assert chances[2] > 0.85
    assert guide.verdict() is None
    assert guide.follow(RED).follow(STOP).verdict() == "stop"


def test_an_open_quotation_is_closed_first() -> None:
    guide: Any = LengthGuide(min=2, max=3, target=2).open(WORDS, ())
    for token in (OPEN, RED, BIG, STOP):
        guide = guide.follow(token)
    assert guide.verdict() is None
    scores = torch.zeros(len(PIECES))
    guide.steer(scores)
    assert [token for token in range(len(PIECES)) if scores[token] > -1] == [QUOTE]
    assert guide.follow(QUOTE).verdict() == "stop"


def test_sentences_are_counted_whole() -> None:
    engine = TableEngine(lambda text: [5.0 if t == [RED, DOT][len(text) % 2 == 0] else -5.0
                                       for t in range(len(PIECES))])  # fmt: skip
    found = reply(engine, LengthGuide(unit="sentences", min=3, max=3))
    assert (found.text, found.finish) == (" red." * 3, "stop")


@pytest.fixture(scope="module")
def tiny() -> Any:
    model, tokenizer = tiny_causal("llama"), tiny_tokenizer(pad_token="<pad>")
    return AttentionEngine(model), vocabulary_of(model, tokenizer)


def answers(tiny: Any, settings: Any, guide: LengthGuide, count: int = 4) -> list[Any]:
    engine, vocabulary = tiny
    tasks = []
    for seed in range(count):
        prompt = (5, 40 + seed, 77)
        opened = (guide.open(vocabulary, prompt),)
        rows = settings.slots() if hasattr(settings, "slots") else 1
        request = Request(prompt, seed, settings.max_tokens, rows=rows, guides=opened)
        tasks.append((settings, request))
    found = {i: s[0] for part in decode_all(engine, tasks, vocabulary, 16) for i, s in part}
    return [found[index] for index in range(count)]


@pytest.mark.parametrize(
    "settings", [Greedy(max_tokens=60), Sample(max_tokens=60), Beam(max_tokens=60, num_beams=2)]
)
@pytest.mark.parametrize("exact", [1, 24])
def test_exact_tokens_are_exact(tiny: Any, settings: Any, exact: int) -> None:
    guide = LengthGuide(unit="tokens", min=exact, max=exact, target=exact)
    found = answers(tiny, settings, guide)
    assert {len(each.tokens) for each in found} == {exact}
    assert {each.finish for each in found} == {"length"}


def test_words_of_a_random_model_stay_below_the_maximum(tiny: Any) -> None:
    guide = LengthGuide(min=4, max=9, target=7)
    for each in answers(tiny, Sample(max_tokens=60, temperature=1.5), guide, count=6):
        words = measure(each.text, "words")
        assert words <= 9
        assert each.finish == "length" or words >= 4
        assert each.finish == "length" or finished(each.text) or not each.text.endswith(".")


def test_neighbours_change_nothing(tiny: Any) -> None:
    guide = LengthGuide(min=4, max=9, target=7)
    settings = Sample(max_tokens=40)
    alone = [answers(tiny, settings, guide, count=1)[0].tokens]
    assert alone == [answers(tiny, settings, guide)[0].tokens]


@pytest.mark.parametrize("text", ["naïve café — 東京 😀 done", "a b\n\nc.d"])
def test_a_growing_text_is_the_decoded_text(text: str) -> None:
    tokenizer = tiny_tokenizer()
    tokens = tokenizer.encode(text * 3)
    growing = GrowingText(vocabulary_of(tiny_causal("llama"), tokenizer).decode)
    for place, token in enumerate(tokens, 1):
        growing = growing.add(token)
        if place == len(tokens) or "\ufffd" not in growing.text:
            assert growing.text == tokenizer.decode(tokens[:place])


def test_marks_are_those_of_the_vocabulary() -> None:
    marks = marks_of(WORDS, len(PIECES), torch.device("cpu"))
    assert [PIECES[token] for token in marks.closing] == [".", '."', "."]
    inside = [PIECES[token] for token in range(len(PIECES)) if not marks.outside[token]]
    assert inside == ["der", ".", '."', "."]
    assert marks.quotes['"'].tolist() == [QUOTE]
