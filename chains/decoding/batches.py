"""Any number of tasks through the decode loop: as many rows at once as there is room for.

    for finished in decode_all(engine, tasks, vocabulary, capacity=16):
        for index, sequences in finished:
            ...

A task that fails alone (its row raises, or does not fit into memory by itself) gives an error and
disturbs no other.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence

import torch

from chains.decoding.loop import Finished, Flight, Task
from chains.decoding.search import Generated, Vocabulary
from chains.decoding.session import Engine

logger = logging.getLogger("textmill.models")

TOGETHER = 16
"""Finished tasks that are handed over at once, where so many are still to come."""


def decode_all(
    engine: Engine, tasks: Sequence[Task], vocabulary: Vocabulary, capacity: int
) -> Iterator[Finished]:
    """Decode all tasks, yielding (index, sequences) as they finish.

    Args:
        engine: The model.
        tasks: Settings and prompt of each.
        vocabulary: The model's tokens.
        capacity: Rows decoded together at most; one task may take more by itself.
    """
    for group in plan(engine, tasks, capacity):
        yield from _decode(engine, tasks, group, vocabulary, capacity)


def plan(engine: Engine, tasks: Sequence[Task], capacity: int) -> list[list[int]]:
    """Indices of the tasks that may share a session, in the order in which they enter it.

    All of them where the engine refills, those with the longest prompts first: rows of a session
    are as wide as the widest. Otherwise batches of equal shape within the capacity.
    """
    if engine.refills:
        longest_first = sorted(range(len(tasks)), key=lambda i: -len(tasks[i][1].prompt))
        return [longest_first] if tasks else []
    if engine.most_rows is not None:
        capacity = min(capacity, engine.most_rows)
    open_batches: dict[int, list[int]] = {}
    rows: dict[int, int] = {}
    batches = []
    for index, (settings, request) in enumerate(tasks):
        shape, slots = engine.shape(len(request.prompt)), settings.slots()
        if shape not in open_batches or rows[shape] + slots > capacity:
            open_batches[shape], rows[shape] = [], 0
            batches.append(open_batches[shape])
        open_batches[shape].append(index)
        rows[shape] += slots
    return batches


def _decode(
    engine: Engine,
    tasks: Sequence[Task],
    group: Sequence[int],
    vocabulary: Vocabulary,
    capacity: int,
) -> Iterator[Finished]:
    """Decode a group in one flight; when that fails, what was in the air again in two halves."""
    waiting = deque(group)
    flight = Flight(engine, vocabulary)
    done: Finished = []
    while waiting or flight.running:
        error = _step(flight, tasks, waiting, capacity)
        done += flight.take()
        if error:
            failed = [*flight.running]
            flight = Flight(engine, vocabulary)  # lets go of the failed one's memory
            yield from _halved(engine, tasks, failed, vocabulary, error)
        if len(done) >= TOGETHER or not flight.running:
            if done:
                yield done
            done = []


def _step(flight: Flight, tasks: Sequence[Task], waiting: deque[int], capacity: int) -> str:
    """Fill what is free and take one step; what went wrong, empty if nothing did."""
    entering = []
    slots = flight.slots
    while waiting and (not slots or slots + tasks[waiting[0]][0].slots() <= capacity):
        entering.append(waiting.popleft())
        slots += tasks[entering[-1]][0].slots()
    try:
        flight.admit([(index, tasks[index]) for index in entering])
        flight.step()
    except Exception as exc:
        return _reason(exc)
    return ""


def _halved(
    engine: Engine, tasks: Sequence[Task], failed: list[int], vocabulary: Vocabulary, error: str
) -> Iterator[Finished]:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(failed) == 1:
        yield [(failed[0], [Generated("", "error", error=error)])]
        return
    logger.info("a batch of %d failed (%s) and is halved", len(failed), error)
    middle = len(failed) // 2
    for half in (failed[:middle], failed[middle:]):
        slots = sum(tasks[index][0].slots() for index in half)
        yield from _decode(engine, tasks, half, vocabulary, slots)


def _reason(exc: Exception) -> str:
    text = (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
    # torch's allocator for main memory raises a bare RuntimeError.
    out = isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text
    return f"out_of_memory: {text}" if out else f"failed: {type(exc).__name__}: {text}"
