"""Calls from stages to models, through the ledger: what is known costs nothing.

caller.answer(Ask("writer", calls))   # one list of replies a call, in the calls' order
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chains.calls import Call, Model, Reply, Wanted
from chains.decoding.plans import Plans
from chains.models.spec import ModelSpec
from pipelines.batch_files import post
from pipelines.ledger import Ledger, call_key, vector_key
from pipelines.stages.base import Ask
from pipelines.usage import Usage
from prompts.errors import TextmillError, unknown
from prompts.registry import dotted

if TYPE_CHECKING:
    import numpy as np

    from chains.embedding import Embedder


class Interrupted(Exception):
    """The user asked the run to stop; everything that was paid for is in the ledger."""


@dataclass(slots=True)
class Meter:
    """What calls have cost so far in this process.

    Attributes:
        calls: Calls asked for, those the ledger knew included. A strategy made of other calls
            counts as these: best_of_n of 8 candidates is eight.
        known: Of these, answered from the ledger.
        tokens: Tokens generated or scored by the others.
        seconds: Time spent in models.
        replied: Tokens of all replies, those the ledger knew included.
    """

    calls: int = 0
    known: int = 0
    tokens: int = 0
    seconds: float = 0.0
    replied: int = 0

    def add(self, other: "Meter") -> None:
        """Add what calls made elsewhere have cost."""
        for spent in fields(self):
            total = getattr(self, spent.name) + getattr(other, spent.name)
            setattr(self, spent.name, total)


@contextmanager
def _named(model: str) -> Iterator[None]:
    """Give an error about a model the key of the job's section where it stands."""
    try:
        yield
    except TextmillError as exc:
        if exc.file is None:
            exc.key = dotted("models", model, exc.key)
        raise


class Caller:
    """The models of one job, opened when first needed, behind the ledger.

    Args:
        specs: The job's models by name.
        embedder: The job's embedder by name.
        ledger: Where calls are remembered.
        offline: Never look for a model on the Hub.
        workers: Processes that answer the calls of each local model; 0 for this one alone.
        plugins: Modules that workers import first.
        batch_out: A file that calls to servers are written to, instead of asking them.
        stop_requested: Asked after every batch; true raises `Interrupted`.
        on_batch: Told after every batch that was paid for.
    """

    def __init__(
        self,
        specs: dict[str, ModelSpec],
        embedder: str,
        ledger: Ledger,
        *,
        offline: bool = False,
        workers: int = 0,
        plugins: Sequence[str] = (),
        batch_out: Path | None = None,
        stop_requested: Callable[[], bool] = lambda: False,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.meter = Meter()
        self.usage = Usage()
        self.asks_servers = any(spec.server for spec in specs.values())
        self._specs = specs
        self._embedder_name = embedder
        self._embedder: Embedder | None = None
        self._ledger = ledger
        self._offline = offline
        self._workers = workers
        self._plugins = plugins
        self._batch_out = batch_out
        self._stop_requested = stop_requested
        self._on_batch = on_batch
        self._models: dict[str, Model] = {}
        self._learned: dict[str, dict[str, Any]] = {}

    def model(self, name: str) -> Model:
        """One of the job's models, opened if it was not."""
        if name not in self._models:
            from chains.models import open_model

            with _named(name):
                self._models[name] = open_model(
                    self._specs[name],
                    offline=self._offline,
                    workers=self._workers,
                    plugins=self._plugins,
                )
        return self._models[name]

    def fingerprint(self, name: str) -> str:
        """A model's fingerprint, without opening it."""
        if name in self._models:
            return self._models[name].fingerprint
        from chains.models import fingerprint

        with _named(name):
            return fingerprint(self._specs[name], offline=self._offline)

    def answer(self, ask: Ask) -> list[list[Reply]]:
        """The replies to each call, from the ledger where it knows them.

        A strategy that is made of other calls goes through the ledger call by call and has no
        entry of its own. All calls advance together, so that their parts share batches.

        Raises:
            Interrupted: The user asked to stop; finished batches are in the ledger.
            UsageError: A strategy names a model that the job does not have.
        """
        plans = Plans(ask.calls)
        if not plans.composite:
            return self._known_or_paid(ask)
        while plans.running:
            plans.advance(partial(self._round, ask.model))
        return [plans.replies[index] for index in range(len(ask.calls))]

    def _round(self, asked: str, wanted: Wanted) -> list[list[Reply]]:
        """Answer calls to several models, an empty name meaning `asked`."""
        places: dict[str, list[int]] = {}
        for place, (name, _) in enumerate(wanted):
            places.setdefault(name or asked, []).append(place)
        found: dict[int, list[Reply]] = {}
        for name, mine in places.items():
            if name not in self._specs:
                raise unknown("model", name, list(self._specs), key="decoding")
            calls = tuple(wanted[place][1] for place in mine)
            found.update(zip(mine, self._known_or_paid(Ask(name, calls)), strict=True))
        return [found[place] for place in range(len(wanted))]

    def _known_or_paid(self, ask: Ask) -> list[list[Reply]]:
        fingerprint = self.fingerprint(ask.model)
        keys = [call_key(fingerprint, call) for call in ask.calls]
        known = self._ledger.get(list(dict.fromkeys(keys)))
        self.meter.calls += len(keys)
        missing = {key: call for key, call in zip(keys, ask.calls, strict=True) if key not in known}
        self.meter.known += len(keys) - len(missing)
        if missing:
            known.update(self._pay(ask.model, missing))
        if self._specs[ask.model].server:
            self.usage.add(ask.model, (known[key] for key in dict.fromkeys(keys)))
        self.meter.replied += sum(r.completion_tokens for key in keys for r in known[key])
        return [known[key] for key in keys]

    def embed(self, texts: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Unit vectors of the texts, float32 [len(texts), dimensions], as the ledger has them.

        Raises:
            Interrupted: The user asked to stop; what was embedded is in the ledger.
        """
        import numpy as np

        embedder = self.embedder()
        keys = [vector_key(embedder.fingerprint, text) for text in texts]
        known = self._ledger.get_vectors(list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            vectors = embedder.encode(list(missing.values()))
            self._ledger.put_vectors(zip(missing, vectors, strict=True))
            known.update(self._ledger.get_vectors(list(missing)))
            if self._stop_requested():
                raise Interrupted
        if not keys:
            return np.zeros((0, embedder.dimensions), dtype=np.float32)
        return np.stack([known[key] for key in keys])

    def indexes(self) -> Path | None:
        """Where indexes are kept from run to run: beside the ledger; None for one in memory."""
        kept = self._ledger.path.parent / "indexes"
        return None if str(self._ledger.path) == ":memory:" else kept

    def embedder(self) -> "Embedder":
        """The job's embedder, opened if it was not."""
        if self._embedder is None:
            from chains.embedding import open_embedder

            self._embedder = open_embedder(self._embedder_name, offline=self._offline)
        return self._embedder

    def describe(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What those models of the job say of themselves."""
        return {name: self._describe(name) for name in names}

    def about(self) -> dict[str, dict[str, Any]]:
        """What the models that are open here say of themselves."""
        return self.describe([name for name in self._models if not self._specs[name].server])

    def learn(self, about: dict[str, dict[str, Any]]) -> None:
        """Take in what models that are open elsewhere say, which then need not be opened here."""
        self._learned.update(about)

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self._ledger.path

    def _describe(self, name: str) -> dict[str, Any]:
        """A server need not be there once the ledger knows all its replies."""
        if self._specs[name].server:
            from chains.models.identity import server_description

            return server_description(self._specs[name])
        if name in self._learned:
            return self._learned[name]
        return self.model(name).describe()

    def close(self) -> None:
        """End the processes that answer calls, where there are any."""
        for model in self._models.values():
            close = getattr(model, "close", None)
            if close is not None:
                close()

    def _pay(self, name: str, missing: dict[bytes, Call]) -> dict[bytes, list[Reply]]:
        if self._batch_out is not None and self._specs[name].server:
            raise post(self._batch_out, self._specs[name], missing)
        model = self.model(name)
        keys = list(missing)
        replies: dict[bytes, list[Reply]] = {}
        start = time.perf_counter()
        for finished in model.answer(list(missing.values())):
            batch = [(keys[index], answers) for index, answers in finished]
            # A failed call is not remembered: with more memory or a wider window it may succeed.
            if batch:
                self._ledger.put((k, a) for k, a in batch if all(r.finish != "error" for r in a))
            replies.update(batch)
            self.meter.tokens += sum(r.completion_tokens for _, a in batch for r in a)
            self.meter.seconds += time.perf_counter() - start
            self._on_batch()
            if self._stop_requested():
                raise Interrupted
            start = time.perf_counter()
        return replies
