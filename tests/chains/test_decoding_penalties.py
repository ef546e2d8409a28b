"""Repetition, frequency and presence penalties: what counts, and for every strategy."""

from typing import Any

import pytest
import torch

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.row_search import RowSearch
from chains.decoding.search import History, Move, Request, Vocabulary


def penalised(settings: Any, prompt: Any, drawn: Any) -> Any:
    scores = torch.tensor([[2.0, -2.0, 4.0, 1.0, -1.0]])
    history = History()
    history.add([prompt])
    for token in drawn:
        history.follow(Move([0], [token]))
    return settings.penalise(scores.clone(), history)[0].tolist()


def test_repetition_penalty_divides_and_multiplies_prompt_and_reply_tokens() -> None:
    found = penalised(Sample(repetition_penalty=2.0), prompt=[0, 1], drawn=[2])
    assert found == [1.0, -4.0, 2.0, 1.0, -1.0]


@pytest.mark.parametrize("strategy", [Sample, Greedy, Beam])
def test_frequency_and_presence_penalties_count_sampled_tokens_alone(strategy: Any) -> None:
    settings = strategy(frequency_penalty=0.5, presence_penalty=0.25)
    assert settings.penalises()
    assert penalised(settings, prompt=[0, 1], drawn=[2, 2, 3]) == [2.0, -2.0, 2.75, 0.25, -1.0]


def test_penalties_lower_what_a_greedy_row_has_said() -> None:
    search = RowSearch(Greedy(frequency_penalty=2.0), Vocabulary(str, frozenset([0])))
    search.admit([Request((1,), 0, room=4)])
    for _ in range(4):
        search.advance(torch.tensor([[-9.0, 0.0, 3.0, 1.5]]))
    ((found,),) = search.take().values()
    assert found.tokens == (2, 3, 2, 1)


def test_a_row_is_penalised_for_its_own_past_alone() -> None:
    settings = Sample(presence_penalty=1.0, repetition_penalty=2.0)
    history = History()
    history.add([[0], [1]])
    history.follow(Move([1, 0, 1], [2, 2, 3]))  # the second row branches
    history.add([[4]])
    scores = settings.penalise(torch.full((4, 5), 2.0), history)
    assert scores.tolist() == [
        [2.0, 1.0, 0.0, 2.0, 2.0],
        [1.0, 2.0, 0.0, 2.0, 2.0],
        [2.0, 1.0, 2.0, 0.0, 2.0],
        [2.0, 2.0, 2.0, 2.0, 1.0],
    ]
