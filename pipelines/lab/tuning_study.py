"""The memory of `tune`: trials in an SQLite file of Optuna's, so that a study can go on.

    study = open_study(Path("review.study.sqlite"), tuned)
    trial = study.ask()            # Trial(number=3, choice={"review.decoding.temperature": 0.7})
    study.tell(trial, Result(...))
    study.finished()               # every trial that was told, in order

What a trial is given depends on the seed of the search and on the trials before it, never on how
often the process was ended in between: the sampler is made anew for every trial.
"""

import json
import logging
import sqlite3
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.files import disk_errors
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_space import Choice, Range
from pipelines.rows import JSON, canonical, seed_for
from prompts.errors import CorruptRunError, UsageError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

NAME = "tune"
STARTUP = 10
"""Trials that TPE draws at random before it learns from them."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a trial came to.

    Attributes:
        measures: Name -> value; None where there was nothing to measure.
        steps: The first objective after each batch of rows.
        rows: Source rows that were worked on.
        ended: `complete`; `pruned` where it was given up; `empty` where an objective has no value.
    """

    measures: dict[str, float | None]
    steps: list[float]
    rows: int
    ended: str = "complete"


@dataclass(frozen=True, slots=True)
class Trial:
    """A choice, and what came of it once it is known."""

    number: int
    choice: Choice
    result: Result | None = None
    handle: Any = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, JSON]:
        """As plain data."""
        came = asdict(self.result) if self.result else {}
        return {"trial": self.number, "choice": self.choice, **came}


class Study:
    """The trials of one job and one space.

    Args:
        study: Optuna's.
        tuned: The job and the space.
    """

    def __init__(self, study: "optuna.Study", tuned: Tuned) -> None:
        self._study = study
        self._tuned = tuned
        self._grid = list(tuned.grid()) if tuned.space.method == "grid" else []
        for trial in study.get_trials(deepcopy=False):
            if not trial.state.is_finished():  # of a process that was ended
                study.tell(trial.number, state=_state("FAIL"))

    def finished(self) -> list[Trial]:
        """All trials that were told, in order, numbered from 1."""
        told = [t for t in self._study.get_trials(deepcopy=False) if "result" in t.user_attrs]
        return [
            Trial(number, t.user_attrs["choice"], Result(**t.user_attrs["result"]))
            for number, t in enumerate(told, start=1)
        ]

    def ask(self) -> Trial | None:
        """The next trial; None where a grid has no more."""
        done = len(self.finished())
        if self._grid and done >= len(self._grid):
            return None
        self._study.sampler = self._sampler(done)
        drawn = self._study.ask(self._distributions())
        choice: Choice = {}
        for key, domain in self._tuned.domains.items():
            choice[key] = _value(domain, drawn.params[key])
        return Trial(done + 1, choice, handle=drawn)

    def tell(self, trial: Trial, result: Result) -> None:
        """Remember what came of a trial."""
        space = self._tuned.space
        handle = trial.handle
        handle.set_user_attr("choice", trial.choice)
        for place, bound in enumerate(space.constraints):
            handle.set_constraint(str(place), bound.excess(result.measures.get(bound.measure)))
        handle.set_user_attr("result", asdict(result))
        if result.ended != "complete":
            self._study.tell(handle, state=_state("PRUNED"))
            return
        values = [result.measures[each.measure] or 0.0 for each in space.objectives]
        self._study.tell(handle, values)

    def importance(self) -> dict[str, float]:
        """Share of each key in what sets the best trials apart (PED-ANOVA, Watanabe 2023).

        Empty with fewer than four complete trials or where all came to the same.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        complete = [t for t in self._study.get_trials(deepcopy=False) if t.values]
        values = {t.values[0] for t in complete if t.values}
        if len(complete) < 4 or len(values) < 2:
            return {}
        found = get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator())
        return {key: round(value, 4) for key, value in found.items()}

    def _sampler(self, number: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler, TPESampler

        from pipelines.lab.tuning_grid import Point

        if self._grid:
            domains = self._tuned.domains
            return Point({k: _drawn(domains[k], v) for k, v in self._grid[number].items()})
        seed = seed_for(self._tuned.space.seed, "tune", str(number)) % 2**32
        if self._tuned.space.method == "tpe":
            return TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP)
        return RandomSampler(seed=seed)

    def _distributions(self) -> "dict[str, BaseDistribution]":
        """What each key is drawn from."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        found: dict[str, BaseDistribution] = {}
        for key, domain in self._tuned.domains.items():
            if not isinstance(domain, Range):
                found[key] = CategoricalDistribution([canonical(value) for value in domain])
            elif domain.step is not None:  # by place: sums of steps are not exact
                found[key] = IntDistribution(0, len(domain.points()) - 1)
            elif domain.whole:
                found[key] = IntDistribution(int(domain.low), int(domain.high), domain.log)
            else:
                found[key] = FloatDistribution(float(domain.low), float(domain.high), domain.log)
        return found


def open_study(path: Path, tuned: Tuned) -> Study:
    """The study in a file, which is made when missing.

    Raises:
        UsageError: It is of another job or space.
        CorruptRunError: The file is not a study.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    ways = {1: optuna.study.StudyDirection.MAXIMIZE, -1: optuna.study.StudyDirection.MINIMIZE}
    try:
        study = optuna.create_study(
            storage=_storage(path),
            study_name=NAME,
            directions=[ways[each.sign] for each in tuned.space.objectives],
            load_if_exists=True,
        )
        identity = study.user_attrs.get("identity")
    except (SQLAlchemyError, sqlite3.Error, RuntimeError, ValueError) as exc:
        fix = "give --study another file, or delete this one"
        raise CorruptRunError("the file is not a study", fix=fix, file=path) from exc
    if identity is None:
        study.set_user_attr("identity", tuned.identity())
    elif identity != tuned.identity():
        fix = "give --study a new file; calls that did not change come from the ledger"
        raise UsageError("the study there is of another job or space", fix=fix, file=path)
    return Study(study, tuned)


def _value(domain: Range | tuple[Any, ...], drawn: Any) -> JSON:
    """What a job takes for what Optuna has drawn."""
    if not isinstance(domain, Range):
        return json.loads(drawn)
    return domain.settled(drawn) if domain.step is None else domain.points()[drawn]


def _drawn(domain: Range | tuple[Any, ...], value: JSON) -> Any:
    """What Optuna must draw for what a job takes."""
    if not isinstance(domain, Range):
        return canonical(value)
    return value if domain.step is None else domain.points().index(value)


def _storage(path: Path) -> "optuna.storages.RDBStorage":
    """Optuna's storage, with a log beside the file in the place of a flush for every record.

    After a power cut the last trials may be missing, never the file; their calls are in the ledger.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        with ExitStack() as undoing:
            undoing.callback(connection.close)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            undoing.pop_all()
        return connection

    # Without a pool, which would hold connections open for as long as the process lives.
    options = {"creator": connect, "poolclass": NullPool}
    return RDBStorage(f"sqlite:///{path}", engine_kwargs=options)


def _state(name: str) -> "optuna.trial.TrialState":
    from optuna.trial import TrialState

    return TrialState[name]
