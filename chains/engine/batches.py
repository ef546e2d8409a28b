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

from chains.decoding.search import Generated, Request, Vocabulary
from chains.engine.base import Engine
from chains.engine.loop import Finished, Flight, Task

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
    refused = [index for index, (_, request) in enumerate(tasks) if engine.rows(request.most) == 0]
    if refused:
        yield [(index, [_refusal(tasks[index][1])]) for index in refused]
    for group in plan(engine, tasks, capacity):
        yield from _decode(engine, tasks, group, vocabulary, capacity)


def plan(engine: Engine, tasks: Sequence[Task], capacity: int) -> list[list[int]]:
    """Indices of the tasks that may share a session, in the order in which they enter it.

    All of them where the engine refills, those that may become longest first: rows of a session
    are as wide as the widest. Otherwise batches of equal shape within the capacity.
    """
    fitting = [index for index, (_, request) in enumerate(tasks) if engine.rows(request.most) != 0]
    if engine.refills:
        longest_first = sorted(fitting, key=lambda index: -tasks[index][1].most)
        return [longest_first] if fitting else []
    open_batches: dict[int, list[int]] = {}
    rows: dict[int, int] = {}
    batches = []
    for index in fitting:
        settings, request = tasks[index]
        shape, slots = engine.shape(len(request.prompt)), settings.slots()
        most = _capacity(engine, request.most, capacity)
        if shape not in open_batches or rows[shape] + slots > most:
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
    states = any(tasks[index][0].needs_states for index in group)
    flight = Flight(engine, vocabulary, states)
    done: Finished = []
    while waiting or flight.running:
        error = _step(engine, flight, tasks, waiting, capacity)
        done += flight.take()
        if error:
            failed = [*flight.running]
            flight = Flight(engine, vocabulary, states)  # lets go of the failed one's memory
            yield from _halved(engine, tasks, failed, vocabulary, error)
        if len(done) >= TOGETHER or not flight.running:
            if done:
                yield done
            done = []


def _step(
    engine: Engine, flight: Flight, tasks: Sequence[Task], waiting: deque[int], capacity: int
) -> str:
    """Fill what is free and take one step; what went wrong, empty if nothing did."""
    entering = []
    slots = flight.slots
    longest = max((tasks[index][1].most for index in flight.running), default=0)
    while waiting:
        settings, request = tasks[waiting[0]]
        longest = max(longest, request.most)
        if slots and slots + settings.slots() > _capacity(engine, longest, capacity):
            break
        entering.append(waiting.popleft())
        slots += settings.slots()
    try:
        flight.admit([(index, tasks[index]) for index in entering])
        flight.step()
    except Exception as exc:
        return reason_of(exc)
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


def _capacity(engine: Engine, tokens: int, capacity: int) -> int:
    """Rows of so many tokens that the memory for keys and values holds."""
    most = engine.rows(tokens)
    return capacity if most is None else min(capacity, most)


def _refusal(request: Request) -> Generated:
    counts = f"keys and values of {request.most} tokens take more than cache_gb allows"
    return Generated("", "error", error=f"out_of_memory: {counts}")


# In errors that are bare RuntimeErrors: of main memory, of a GPU's driver and of its libraries.
_NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")


def reason_of(exc: Exception) -> str:
    """What a task that raised it gives as its error."""
    text = (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
    out = isinstance(exc, (MemoryError, torch.OutOfMemoryError))
    out = out or any(phrase in text for phrase in _NO_MEMORY)
    return f"out_of_memory: {text}" if out else f"failed: {type(exc).__name__}: {text}"
