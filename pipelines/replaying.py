"""A job once more, with a ledger in the place of its models.

replayer = Replayer(loaded, recorded, sample=20)
run(loaded, folder, replayer, watch)       # costs nothing: every reply is a recorded one
replayer.sample()                          # 20 of its calls, to be paid once more
"""

import hashlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chains.calls import Call, Message, Model, Reply
from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.launch import Options
from pipelines.ledger import Ledger, call_key
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


class Drawn(NamedTuple):
    """A call of the sample.

    Attributes:
        model: Its name in the job.
        key: In the ledger.
        call: The call.
    """

    model: str
    key: bytes
    call: Call


class Sample:
    """Some of the calls that are shown to it, which ones decided by their keys and a seed alone.

    Args:
        seed: Any number.
        size: Calls to keep.
    """

    def __init__(self, seed: int, size: int) -> None:
        self._seed = f"{seed} ".encode()
        self._size = size
        self._kept: dict[bytes, Drawn] = {}

    def show(self, drawn: Drawn) -> None:
        """Keep the call if it belongs to the sample; equal ones count once."""
        self._kept[hashlib.sha256(self._seed + drawn.key).digest()] = drawn
        if len(self._kept) > 2 * self._size + 1000:
            self._kept = {rank: self._kept[rank] for rank in self._first()}

    def calls(self) -> list[Drawn]:
        """The sample, in its shuffled order."""
        return [self._kept[rank] for rank in self._first()]

    def _first(self) -> list[bytes]:
        return heapq.nsmallest(self._size, self._kept)


class Replayer(Caller):
    """A caller whose models give the replies that a ledger has recorded.

    Args:
        loaded: The job.
        recorded: The ledger of the run; nothing is written to it.
        size: Of the sample of its calls.
        options: How to open the models themselves.
    """

    def __init__(self, loaded: LoadedJob, recorded: Ledger, size: int, options: Options) -> None:
        self._vectors = _Vectors(recorded)
        super().__init__(
            loaded.job.models,
            loaded.job.embedder,
            self._vectors,
            offline=options.offline,
            workers=options.workers,
            plugins=loaded.job.plugins,
            stop_requested=options.watch.stop_requested,
        )
        self._recorded = recorded
        self._sample = Sample(loaded.seed, size)

    def close(self) -> None:
        """End what the models started, and forget the vectors."""
        super().close()
        self._vectors.close()

    def model(self, name: str) -> Model:
        """The recorded replies of one of the job's models."""
        return _Recording(
            self.fingerprint(name),
            self._recorded,
            lambda: self.real_model(name),
            lambda key, call: self._sample.show(Drawn(name, key, call)),
        )

    def real_model(self, name: str) -> Model:
        """One of the job's models itself, opened if it was not."""
        return super().model(name)

    def sample(self) -> list[Drawn]:
        """Some of the calls that were answered from the ledger."""
        return self._sample.calls()


class _Vectors(Ledger):
    """Remembers for itself and reads the embeddings of another ledger.

    It knows none of the other's calls, so that all of them come to the models.
    """

    def __init__(self, recorded: Ledger) -> None:
        super().__init__(Path(":memory:"))
        self._recorded = recorded

    def get_vectors(
        self, keys: Sequence[bytes]
    ) -> "dict[bytes, np.ndarray[Any, np.dtype[np.float32]]]":
        """As the other ledger has them; new ones from memory."""
        return {**super().get_vectors(keys), **self._recorded.get_vectors(keys)}


class _Recording:
    """Implements `chains.calls.Model`; what is not a reply is asked of the model itself."""

    def __init__(
        self,
        fingerprint: str,
        recorded: Ledger,
        real: Callable[[], Model],
        show: Callable[[bytes, Call], None],
    ) -> None:
        self.fingerprint = fingerprint
        self._recorded = recorded
        self._real = real
        self._show = show

    @property
    def window(self) -> int:
        return self._real().window

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._real().count_tokens(messages)

    def describe(self) -> dict[str, Any]:
        return self._real().describe()

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """The recorded replies; a call that failed was not recorded, and must fail again.

        Raises:
            UsageError: The ledger lacks a call.
        """
        keys = [call_key(self.fingerprint, call) for call in calls]
        known = self._recorded.get(list(dict.fromkeys(keys)))
        for key, call in zip(keys, calls, strict=True):
            if key in known:
                self._show(key, call)
        yield [(index, known[key]) for index, key in enumerate(keys) if key in known]
        missing = [index for index, key in enumerate(keys) if key not in known]
        if not missing:
            return
        for finished in self._real().answer([calls[index] for index in missing]):
            if any(reply.finish != "error" for _, replies in finished for reply in replies):
                problem = "it does not have all calls of the run"
                fix = "name the run's own with --ledger FILE, or make all of it again with --all"
                raise UsageError(problem, fix=fix, file=self._recorded.path)
            yield [(missing[place], replies) for place, replies in finished]
