"""Whether the parts of a job fit together: columns, prompts, models. Nothing is loaded for it.

check_parts(loaded)     # {"topic", "question", "answer"}, or the first error with its key

stages.2: stage 'grounded' needs column 'answer'; fix: columns at this stage: context, question
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from chains.decoding import Decoding
from pipelines.quota import shown
from pipelines.rows import canonical
from pipelines.stages import Stage
from prompts.errors import TextmillError, UsageError, unknown
from prompts.registry import dotted

if TYPE_CHECKING:
    from pipelines.job import Job, LoadedJob

T = TypeVar("T")


def check_parts(loaded: "LoadedJob") -> set[str]:
    """Follow the columns from the sources through the stages to the exports.

    Returns:
        The columns that accepted rows will have, as far as they are known.

    Raises:
        UsageError: With the dotted key at fault.
        SourceError: A source has nothing to read.
    """
    job = loaded.job
    _check_keys(loaded)
    _check_end(loaded)
    columns: set[str] | None = None
    for index, source in enumerate(job.sources):
        found = _keyed(f"sources.{index}", partial(source.columns, loaded))
        if found is not None:
            columns = set(found) if columns is None else columns & found
    known = columns is not None
    available = columns or set()
    for index, stage in enumerate(job.stages):
        view = _StageView(loaded, job.stages[index:], set(available) if known else None)
        view.need(stage.columns_needed(), key=f"stages.{index}")
        _keyed(f"stages.{index}", partial(stage.check, view))
        _keyed(f"stages.{index}", partial(_check_decoding, stage, view))
        available |= stage.columns_added()
    if job.quota is not None:
        _check_quota(job, set(available) if known else None)
    for index, exporter in enumerate(job.exports):
        if known:
            _keyed(f"exports.{index}", partial(exporter.check, set(available)))
    return available


def _check_decoding(stage: Stage, view: "_StageView") -> None:
    """The models that a strategy names beside the stage's own are the job's."""
    for field, value in stage:
        for setting, name in value.models().items() if isinstance(value, Decoding) else ():
            view.model(name, key=dotted(field, setting))


def _check_keys(loaded: "LoadedJob") -> None:
    for name, spec in loaded.job.models.items():
        variable = spec.api_key[2:-1]  # ${NAME}
        if variable and variable not in os.environ:
            fix = f"export {variable}=... before the command"
            problem = f"the environment variable {variable} is not set"
            raise UsageError(problem, fix=fix, key=f"models.{name}.api_key")


def _check_end(loaded: "LoadedJob") -> None:
    job = loaded.job
    if job.rows is not None or job.budget.calls is not None or job.budget.minutes is not None:
        return
    for index, source in enumerate(job.sources):
        if source.endless():
            fix = "give the job 'rows', or the source a 'count'"
            raise UsageError("the run would never end", fix=fix, key=f"sources.{index}")


def _check_quota(job: "Job", available: set[str] | None) -> None:
    """Its columns are there at the end, and there is no cell that no source can draw."""
    assert job.quota is not None
    columns = job.quota.columns()
    for column in columns:
        if available is not None and column not in available:
            raise unknown("column", column, sorted(available), key="quota")
    places = job.quota.steering(job.stages)
    drawn: set[tuple[str, ...]] = set()
    for source in job.sources:
        combinations = source.combinations([columns[i] for i in places])
        if combinations is None:
            return
        drawn |= {tuple(map(canonical, values)) for values in combinations}
    for cell in job.quota.wanted(job.sources, job.rows):
        direction = tuple(cell[i] for i in places)
        if direction not in drawn:
            fix = "leave the cell out, or let a source draw its values"
            raise UsageError(f"no source draws '{shown(direction)}'", fix=fix, key="quota")


def _keyed(key: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except TextmillError as exc:
        if exc.file is None:
            exc.key = dotted(key, exc.key)
        raise


class _StageView:
    """The job as one stage may look at it while it is checked.

    Args:
        loaded: The job.
        stages: The stage itself and those after it.
        available: The columns that rows have here; None where only reading the source can tell.
    """

    def __init__(
        self, loaded: "LoadedJob", stages: Sequence[Stage], available: set[str] | None
    ) -> None:
        self._stages = stages
        self._available = available
        self.prompt = loaded.prompt
        self.model = loaded.use_model
        self.path = loaded.path
        self.rows = loaded.job.rows

    def need(self, columns: set[str], *, key: str = "") -> None:
        """Raises UsageError where the rows that reach the stage may lack one of `columns`."""
        if self._available is None or columns <= self._available:
            return
        missing = sorted(columns - self._available)
        names = ", ".join(f"'{name}'" for name in missing)
        what = "column" if len(missing) == 1 else "columns"
        problem = f"stage '{self._stages[0].name}' needs {what} {names}"
        later = [s.name for s in self._stages[1:] if s.columns_added() & set(missing)]
        fix = f"columns at this stage: {', '.join(sorted(self._available)) or 'none'}"
        if later:
            fix = f"move it behind stage '{later[0]}', which adds it ({fix})"
        raise UsageError(problem, fix=fix, key=key)
