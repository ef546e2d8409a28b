"""How replies end: stop strings, end tokens, lengths; and what a batch does with rows that fail."""

from typing import Any

import pytest
import torch
from table_engine import END, TableEngine, decode, letters, random_table

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.search import Request, Vocabulary
from chains.decoding.stopping import StopStrings
from chains.engine.batches import decode_all, reason_of

PIECES = ["</s>", "Blue", ".", " #", "## Ne", "xt", "é"[0], "\ufffd", "\n", "\nQ"]
WORDS = Vocabulary(
    decode=lambda tokens: "".join(PIECES[token] for token in tokens), ends=frozenset({END})
)


def writing(*tokens: Any) -> Any:
    """An engine whose greedy reply is these tokens."""
    return TableEngine(
        lambda text: [
            3.0 if token == (tokens[len(text) - 1] if len(text) <= len(tokens) else END) else 0.0
            for token in range(len(PIECES))
        ]
    )


def reply(engine: Any, settings: Any, vocabulary: Any = WORDS) -> Any:
    room = settings.max_tokens
    ((sequence,),) = decode(engine, [(settings, Request((9,), 5, room))], vocabulary)
    return sequence


def test_an_end_token_stops_and_is_counted_but_not_shown() -> None:
    found = reply(writing(1, 2, END), Greedy())
    assert (found.text, found.finish, found.tokens) == ("Blue.", "stop", (1, 2, END))


def test_max_tokens_cuts() -> None:
    found = reply(writing(1, 2, 3, 4), Greedy(max_tokens=3))
    assert (found.text, found.finish, len(found.tokens)) == ("Blue. #", "length", 3)


def test_half_a_character_at_the_cut_is_left_out() -> None:
    assert reply(writing(1, 2, 7), Greedy(max_tokens=3)).text == "Blue."


@pytest.mark.parametrize("strategy", [Greedy, Beam])
@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("###",), "Blue. "),  # begins in one token and ends in the midst of the next
        (("Next",), "Blue. ### "),
        (("Next", "###"), "Blue. "),
        (("xt", "Ne"), "Blue. ### "),
        (("e. #",), "Blu"),
        (("Blue",), ""),
    ],
)
def test_stop_strings_cut_across_tokens_and_do_not_leak(
    strategy: Any, stop: tuple[str, ...], text: Any
) -> None:
    found = reply(writing(1, 2, 3, 4, 5, END), strategy(stop=stop))
    assert (found.text, found.finish) == (text, "stop")


def test_a_stop_string_within_min_tokens_is_part_of_the_reply() -> None:
    engine = writing(1, 2, 8, 1, 2, 9, END)
    assert reply(engine, Greedy(stop=("\n",))).text == "Blue."
    assert reply(engine, Greedy(stop=("\n",), min_tokens=3)).text == "Blue.\nBlue."
    assert reply(engine, Greedy(stop=("\nQ",), min_tokens=5)).text == "Blue.\nBlue."


def test_a_stop_string_of_many_tokens_is_found() -> None:
    stops = StopStrings(("x" * 30,), lambda tokens: "".join("x" if t else "-" for t in tokens))
    assert stops.cut([0, 0, *[1] * 29], min_tokens=0) is None
    assert stops.cut([0, 0, *[1] * 30], min_tokens=0) == "--"


def test_a_long_reply_is_searched_near_its_end_only() -> None:
    decoded = []

    def decode_counting(tokens: Any) -> Any:
        decoded.append(len(tokens))
        return "x" * len(tokens)

    stops = StopStrings(("yy",), decode_counting)
    assert stops.cut([1] * 5000, min_tokens=0) is None
    assert max(decoded) < 20


@pytest.mark.parametrize("strategy", [Greedy, Sample, Beam])
def test_min_tokens_bans_the_end_before(strategy: Any) -> None:
    ending = TableEngine(lambda text: [9.0] + [0.0] * 5)
    assert len(reply(ending, strategy(max_tokens=12), letters()).tokens) == 1
    found = reply(ending, strategy(min_tokens=7, max_tokens=12), letters())
    assert len(found.tokens) == 8
    assert END not in found.tokens[:-1]


def test_banned_and_forced_tokens() -> None:
    table = TableEngine(lambda text: [0.0, 5.0, 4.0, 1.0])
    vocabulary = letters(banned=(1,), first=3)
    assert reply(table, Greedy(max_tokens=3), vocabulary).text == "cbb"
    assert reply(table, Beam(max_tokens=3), vocabulary).text[0] == "c"


def test_n_replies_of_one_settings_have_their_own_noise() -> None:
    table = TableEngine(lambda text: [-9.0] + [0.0] * 25)
    tasks = [(Sample(max_tokens=20), Request((9,), seed, 20)) for seed in (1, 2, 1)]
    first, second, again = (found[0].text for found in decode(table, tasks, letters()))
    assert first == again != second


def outcomes(engine: Any, count: int, capacity: int = 16, settings: Any = None) -> Any:
    settings = settings or Sample(max_tokens=12)
    tasks = [(settings, Request((place,), place, 12)) for place in range(count)]
    found = {}
    for finished in decode_all(engine, tasks, letters(), capacity):
        found.update({index: sequences[0] for index, sequences in finished})
    return [found[place] for place in range(count)]


def test_a_batch_is_halved_until_it_fits_and_changes_no_reply() -> None:
    table = random_table(12, 3)
    roomy, tight = TableEngine(table), TableEngine(table, rows=3)
    assert outcomes(tight, 16) == outcomes(roomy, 16)
    assert tight.starts[:3] == [16, 8, 4]
    assert min(tight.starts) == 2


def test_a_row_that_does_not_fit_alone_is_quarantined() -> None:
    table = random_table(12, 3)
    beams = Beam(num_beams=4, max_tokens=4)
    tight = TableEngine(table, rows=3)
    found = outcomes(tight, 2, settings=beams)
    reason = "out_of_memory: DefaultCPUAllocator: can't allocate memory: tried 9 bytes"
    assert [sequence.error for sequence in found] == [reason] * 2
    assert [sequence.finish for sequence in found] == ["error"] * 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "out_of_memory",
        ),
        (RuntimeError("CUDA error: out of memory"), "out_of_memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling it"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA error: an illegal memory access"), "failed"),
    ],
)
def test_every_word_of_a_gpu_for_too_little_memory_is_known(error: Exception, reason: str) -> None:
    assert reason_of(error).partition(":")[0] == reason


def test_a_row_that_raises_fails_alone() -> None:
    table = random_table(12, 3)

    def poison(texts: Any) -> None:
        if any(text[0] == 6 for text in texts):
            raise ValueError("bad row")

    found = outcomes(TableEngine(table, fault=poison), 11)
    healthy = outcomes(TableEngine(table), 11)
    assert found[6].error == "failed: ValueError: bad row"
    assert found[:6] + found[7:] == healthy[:6] + healthy[7:]


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_row_without_numbers_fails_alone_and_the_others_go_on(number: str) -> None:
    table = random_table(12, 3)

    def logits(text: Any) -> Any:
        values = table(text)
        if text[0] == 4 and len(text) == 2:
            values[7] = float(number)
        return values

    found, healthy = outcomes(TableEngine(logits), 9), outcomes(TableEngine(table), 9)
    assert len(healthy[4].tokens) > 1
    assert found[4].error == "nan_logits: the model gave no numbers at token 1"
    assert found[:4] + found[5:] == healthy[:4] + healthy[5:]


def test_settings_of_different_strategies_share_a_batch() -> None:
    table = TableEngine(random_table(12, 3))
    kinds = [Greedy(max_tokens=5), Beam(max_tokens=4, num_beams=3), Sample(max_tokens=6), Greedy()]
    tasks = [(settings, Request((9,), 1, settings.max_tokens)) for settings in kinds]
    together = decode(table, tasks, letters())
    assert table.starts == [4]
    assert together == [decode(table, [task], letters())[0] for task in tasks]
