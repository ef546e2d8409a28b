"""The decode loop: one batch of requests, from the prompts to what each search makes of them.

    outcome = decode(engine, [(Greedy(), request), (Sample(), request)], vocabulary)
    outcome[0]          # [Generated(text="Blue.", finish="stop", ...)]

Requests of different settings share the model's forward passes; each group of equal settings has
its own search.
"""

from collections.abc import Sequence

import torch

from chains.decoding.base import Decoding
from chains.decoding.search import Generated, Move, Request, Search, Vocabulary
from chains.decoding.session import Engine

Task = tuple[Decoding, Request]


def decode(engine: Engine, tasks: Sequence[Task], vocabulary: Vocabulary) -> list[list[Generated]]:
    """Decode one batch; its prompts must be of one shape (`engine.shape`).

    Returns:
        For each task its sequences, best first where the strategy ranks them.
    """
    order, searches = _searches(tasks, vocabulary)
    with torch.inference_mode():
        _run(engine, [tasks[place][1] for place in order], searches)
    results: list[list[Generated]] = [[] for _ in tasks]
    places = iter(order)
    for search in searches:
        found = search.results()
        for request in range(len(search.requests)):
            results[next(places)] = found[request]
    return results


def _searches(tasks: Sequence[Task], vocabulary: Vocabulary) -> tuple[list[int], list[Search]]:
    """One search for each group of equal settings, and the order in which they take the tasks."""
    groups: dict[Decoding, list[int]] = {}
    for place, (settings, _) in enumerate(tasks):
        groups.setdefault(settings, []).append(place)
    searches = [
        settings.search([tasks[place][1] for place in places], vocabulary)
        for settings, places in groups.items()
    ]
    return [place for places in groups.values() for place in places], searches


def _run(engine: Engine, requests: Sequence[Request], searches: list[Search]) -> None:
    session = engine.open()
    prompts = [request.prompt for request in requests]
    logits = session.start(prompts, [request.shared for request in requests])
    rows = [len(search.requests) for search in searches]
    while True:
        moves = [
            search.advance(part) if len(part) else Move([], [])
            for search, part in zip(searches, torch.split(logits, rows), strict=True)
        ]
        parents = [
            parent + sum(rows[:place])
            for place, move in enumerate(moves)
            for parent in move.parents
        ]
        if not parents:
            return
        if parents != list(range(sum(rows))):
            session.select(parents)
        rows = [len(move.tokens) for move in moves]
        logits = session.advance([token for move in moves for token in move.tokens])
