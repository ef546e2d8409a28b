"""Any number of tasks in batches: rows of one shape together, fewer when memory runs out.

    for finished in decode_all(engine, tasks, vocabulary, capacity=16):
        for index, sequences in finished:
            ...

A task that fails alone (its row raises, or does not fit into memory by itself) gives an error and
disturbs no other.
"""

import logging
from collections.abc import Iterator, Sequence

import torch

from chains.decoding.loop import Task, decode
from chains.decoding.search import Generated, Vocabulary
from chains.decoding.session import Engine

logger = logging.getLogger("textmill.models")

Finished = list[tuple[int, list[Generated]]]


def decode_all(
    engine: Engine, tasks: Sequence[Task], vocabulary: Vocabulary, capacity: int
) -> Iterator[Finished]:
    """Decode all tasks, yielding (index, sequences) after every batch.

    Args:
        engine: The model.
        tasks: Settings and prompt of each.
        vocabulary: The model's tokens.
        capacity: Rows decoded together at most; one task may take more by itself.
    """
    for batch in plan(engine, tasks, capacity):
        yield _decode_or_halve(engine, tasks, batch, vocabulary)


def plan(engine: Engine, tasks: Sequence[Task], capacity: int) -> list[list[int]]:
    """Indices of the tasks of each batch: equal shapes together, in order, within the capacity."""
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


def _decode_or_halve(
    engine: Engine, tasks: Sequence[Task], batch: list[int], vocabulary: Vocabulary
) -> Finished:
    try:
        found = decode(engine, [tasks[index] for index in batch], vocabulary)
        return list(zip(batch, found, strict=True))
    except Exception as exc:
        error = _reason(exc)
    # Outside of the except clause: the exception would keep the failed batch's memory alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(batch) == 1:
        return [(batch[0], [Generated("", "error", error=error)])]
    logger.info("a batch of %d failed (%s) and is halved", len(batch), error)
    middle = len(batch) // 2
    return [
        *_decode_or_halve(engine, tasks, batch[:middle], vocabulary),
        *_decode_or_halve(engine, tasks, batch[middle:], vocabulary),
    ]


def _reason(exc: Exception) -> str:
    text = (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
    # torch's allocator for main memory raises a bare RuntimeError.
    out = isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text
    return f"out_of_memory: {text}" if out else f"failed: {type(exc).__name__}: {text}"
