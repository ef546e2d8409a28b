"""Diverse beam search: the penalties of groups recomputed by hand."""

import math
from typing import Any

import pytest
import torch
from table_engine import TableEngine, decode, letters, random_table

from chains.decoding import Beam, DiverseBeam
from chains.decoding.search import Request


def logs(*chances: float) -> list[float]:
    return [math.log(chance) for chance in chances]


def test_groups_pay_for_what_earlier_groups_say() -> None:
    """By hand, groups of one beam; token 1 is "a", and nothing ends before three tokens.

    Step 1: log p of a, b, c: -0.69, -1.05, -1.90. Group 1 takes a. Group 2 sees a at -1.69 and
    takes b; group 3 sees a at -1.69, b at -2.05 and c at -1.90, and takes a all the same.
    Step 2, from a: a -1.20, b -0.69, c -1.61; from b: a -0.51, b -1.61, c -1.61. Group 1 takes b.
    Group 2 takes a. Group 3 (from a) sees a at -2.20, b at -1.69 and c at -1.61, and takes c.
    """

    def table(text: Any) -> Any:
        first = logs(1e-9, 0.5, 0.35, 0.15)
        after = {1: logs(1e-9, 0.3, 0.5, 0.2), 2: logs(1e-9, 0.6, 0.2, 0.2)}
        return first if len(text) == 1 else after.get(text[-1], first)

    settings = DiverseBeam(
        num_beams=3, num_beam_groups=3, n=3, diversity_penalty=1.0, max_tokens=2, length_penalty=0
    )
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 2))], letters())
    by_text = {s.text: s for s in found}
    assert [s.text for s in found] == ["ab", "ba", "ac"]
    assert by_text["ab"].score == pytest.approx(math.log(0.5 * 0.5), abs=1e-6)
    assert by_text["ba"].score == pytest.approx(math.log(0.35 * 0.6), abs=1e-6)
    assert by_text["ac"].score == pytest.approx(math.log(0.5 * 0.2) - 1.0, abs=1e-6)
    assert by_text["ac"].logprob == pytest.approx(math.log(0.5 * 0.2), abs=1e-6)


def reference(table: Any, settings: DiverseBeam, prompt: int, steps: int) -> Any:
    """Beams of every group after so many steps, where nothing ends; (score, tokens)."""
    width = settings.num_beams // settings.num_beam_groups
    groups = [[(0.0, ())] for _ in range(settings.num_beam_groups)]
    for _ in range(steps):
        said: list[int] = []
        for number, beams in enumerate(groups):
            candidates = []
            for score, tokens in beams:
                logprobs = torch.tensor(table((prompt, *tokens))).log_softmax(-1)
                for token in range(1, len(logprobs)):
                    step = float(logprobs[token]) - settings.diversity_penalty * said.count(token)
                    candidates.append((score + step, (*tokens, token)))
            candidates.sort(reverse=True)
            groups[number] = candidates[:width]
            said += [tokens[-1] for _, tokens in groups[number]]
    return groups


@pytest.mark.parametrize("penalty", [0.0, 0.4, 3.0])
@pytest.mark.parametrize(("beams", "groups"), [(4, 2), (6, 3), (6, 2)])
def test_groups_of_several_beams_equal_a_reference(beams: int, groups: int, penalty: float) -> None:
    letter_table = random_table(9, beams + groups)

    def table(text: Any) -> Any:
        return [-30.0, *letter_table(text)[1:]]

    settings = DiverseBeam(
        num_beams=beams,
        num_beam_groups=groups,
        n=beams,
        diversity_penalty=penalty,
        max_tokens=4,
        length_penalty=0.0,
    )
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 4))], letters())
    expected = [beam for group in reference(table, settings, 9, 4) for beam in group]
    assert sorted(s.tokens for s in found) == sorted(tokens for _, tokens in expected)
    scores = sorted(score for score, _ in expected)
    assert sorted(s.score for s in found) == pytest.approx(scores, abs=1e-4)


def test_without_a_penalty_every_group_is_the_same_beam_search() -> None:
    engine = TableEngine(random_table(8, 5))
    request = Request((9,), 0, 6)
    plain = Beam(num_beams=2, n=2, max_tokens=6)
    groups = DiverseBeam(num_beams=6, num_beam_groups=3, n=6, diversity_penalty=0.0, max_tokens=6)
    beam, diverse = decode(engine, [(plain, request), (groups, request)], letters())
    # Equal texts come last: first each once, then the second and third copies.
    assert diverse == [*beam, *[beam[0]] * 2, *[beam[1]] * 2]


def test_more_penalty_gives_more_different_first_tokens() -> None:
    engine = TableEngine(lambda text: [-9.0, 4.0, 2.0, 1.5, 1.0, 0.5])

    def first_tokens(penalty: float) -> int:
        settings = DiverseBeam(
            num_beams=4, num_beam_groups=4, n=4, diversity_penalty=penalty, max_tokens=3
        )
        (found,) = decode(engine, [(settings, Request((9,), 0, 3))], letters())
        return len({s.tokens[0] for s in found})

    assert [first_tokens(penalty) for penalty in (0.0, 1.5, 9.0)] == [1, 3, 4]
