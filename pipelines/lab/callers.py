"""The models of jobs that differ in nothing but settings are opened once.

callers = Callers(ledger, options)
callers(loaded).answer(ask)
callers.close()
"""

from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.launch import Options, open_caller
from pipelines.ledger import Ledger
from pipelines.rows import digest


class Callers:
    """Opens the models of a job, or gives those that are open already.

    Args:
        ledger: Where calls are remembered.
        options: How models are opened.
    """

    def __init__(self, ledger: Ledger, options: Options) -> None:
        self._ledger = ledger
        self._options = options
        self._open: dict[str, Caller] = {}

    def __call__(self, loaded: LoadedJob) -> Caller:
        """The models of a job."""
        job = loaded.job
        specs = {name: spec.model_dump(mode="json") for name, spec in job.models.items()}
        key = digest(specs, job.embedder)
        if key not in self._open:
            self._open[key] = open_caller(loaded, self._ledger, self._options)
        return self._open[key]

    def calls(self) -> tuple[int, int]:
        """Calls asked for, and how many of these the ledger knew."""
        meters = [caller.meter for caller in self._open.values()]
        return sum(meter.calls for meter in meters), sum(meter.known for meter in meters)

    def close(self) -> None:
        """End the processes that answer calls, where there are any."""
        for caller in self._open.values():
            caller.close()
