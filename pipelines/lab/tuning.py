"""`tune`: search over a job's settings, with the rows of the job as the judge.

    found = tune(tuned, rows, study, callers)
    found.best.choice          # {"review.decoding.temperature": 0.62}
    found.baseline             # the measures of the job as it is
    found.holdout              # winner and job on rows that no trial has seen

A trial takes the source rows, batch by batch, through all stages of the job with one choice put in.
Rows, and so seeds, are the same in every trial, so that choices are compared on equal terms; calls
go through the ledger. The best of many noisy figures looks better than it is: that is why the
winner meets the job once more on other rows.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.lab.statistics import paired_bootstrap, sign_flip_test
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_measures import Tally, measured_column
from pipelines.lab.tuning_space import Choice
from pipelines.lab.tuning_study import Result, Study, Trial
from pipelines.rows import JSON, Row
from pipelines.supply import supply
from prompts.errors import SourceError, UsageError

SURE = 0.05
"""p below which a difference on the held-out rows counts as shown."""

FEWEST = 5
"""Trials that must have come to a point before another can be given up there."""

CallerOf = Callable[[LoadedJob], Caller]
"""Opens the models of a job, or gives those that are open already."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """Winner and job on the same rows, which no trial has seen.

    Attributes:
        rows: How many source rows.
        job: Measures of the job as it is.
        winner: Measures of the winner.
        difference: Mean over source rows of the accepted share, winner minus job.
        low: Lower bound of it at 95 %, by a bootstrap over rows.
        high: Upper bound.
        shown: Whether a difference is shown: p of the sign-flip test below 0.05 and an interval
            without zero.
    """

    rows: int
    job: dict[str, float | None]
    winner: dict[str, float | None]
    difference: float
    low: float
    high: float
    shown: bool


@dataclass(frozen=True, slots=True)
class Found:
    """All of a study.

    Attributes:
        trials: In order.
        front: Of the trials within the constraints, those that no other beats in all objectives.
        best: The one to take; None where no trial is within the constraints.
        baseline: Measures of the job as it is, on the rows of the trials.
        importance: Share of each key in what sets the best trials apart; the largest first.
        holdout: None where it was not asked for, or no rows are left for it.
    """

    trials: list[Trial]
    front: list[Trial]
    best: Trial | None
    baseline: dict[str, float | None]
    importance: dict[str, float] = field(default_factory=dict)
    holdout: Holdout | None = None

    def as_json(self) -> dict[str, JSON]:
        """As plain data."""
        return {
            "trials": [trial.as_json() for trial in self.trials],
            "front": [trial.number for trial in self.front],
            "best": self.best.number if self.best else None,
            "baseline": self.baseline,
            "importance": self.importance,
            "holdout": asdict(self.holdout) if self.holdout else None,
        }


def source_rows(loaded: LoadedJob, count: int) -> list[Row]:
    """The first rows of the job's sources.

    Raises:
        SourceError: There is none.
    """
    rows: list[Row] = []
    for item in supply(loaded, passes=1):
        if isinstance(item.outcome, Row):
            rows.append(item.outcome)
        if len(rows) == count:
            break
    if not rows:
        raise SourceError("the sources give no row", fix="look at: python run_pipeline.py preview")
    return rows


def tune(
    tuned: Tuned,
    study: Study,
    caller_of: CallerOf,
    on_trial: Callable[[Trial], Any] = lambda trial: None,
    *,
    pick: int | None = None,
) -> Found:
    """Go on with a study until it has its trials, and judge the winner.

    Args:
        tuned: The job and the space.
        study: Where trials are remembered.
        caller_of: Opens models.
        on_trial: Told of every trial.
        pick: Take this trial of the front, instead of the best in the first objective.

    Raises:
        Interrupted: The user asked to stop; finished trials are kept.
        UsageError: A choice does not fit the job, or `pick` is not of the front.
    """
    space = tuned.space
    rows = source_rows(tuned.loaded, space.rows + space.holdout)
    seen, unseen = rows[: space.rows], rows[space.rows :]
    bench = Bench(tuned, caller_of)
    baseline = bench.measured(tuned.loaded, seen)
    while len(study.finished()) < space.trials:
        trial = study.ask()
        if trial is None:
            break
        result = bench.attempt(trial.choice, seen, study.finished())
        study.tell(trial, result)
        on_trial(Trial(trial.number, trial.choice, result))
    trials = study.finished()
    best = winner(tuned, trials, pick)
    holdout = bench.held_out(best.choice, unseen) if best and unseen else None
    return Found(trials, front(tuned, trials), best, baseline, study.importance(), holdout)


class Bench:
    """Tries choices on rows.

    Args:
        tuned: The job and the space.
        caller_of: Opens models.
    """

    def __init__(self, tuned: Tuned, caller_of: CallerOf) -> None:
        self._tuned = tuned
        self._caller_of = caller_of
        self._field = measured_column(tuned.loaded, tuned.space.field)
        aims = [each.measure for each in tuned.space.objectives]
        bounds = [each.measure for each in tuned.space.constraints]
        self._names = list(dict.fromkeys([*aims, *bounds, "accept_rate"]))

    def attempt(self, choice: Choice, rows: Sequence[Row], others: Sequence[Trial]) -> Result:
        """One trial; given up where it does worse than others did with as many rows."""
        space = self._tuned.space
        tally = self._tally(self._tuned.job(choice))
        aim = space.objectives[0]
        steps: list[float] = []
        size = -(-len(rows) // space.batches)
        for start in range(0, len(rows), size):
            tally.feed(rows[start : start + size])
            value = tally.measure(aim.measure)
            steps.append(aim.sign * value if value is not None else float("-inf"))
            if start + size < len(rows) and self._poor(steps, others):
                return Result(self._measures(tally), _finite(steps), start + size, "pruned")
        measures = self._measures(tally)
        lacks = any(measures[each.measure] is None for each in space.objectives)
        return Result(measures, _finite(steps), len(rows), "empty" if lacks else "complete")

    def measured(self, loaded: LoadedJob, rows: Sequence[Row]) -> dict[str, float | None]:
        """The measures of a job on rows."""
        return self._measures(self._fed(loaded, rows))

    def held_out(self, choice: Choice, rows: Sequence[Row]) -> Holdout:
        """Job and choice on the same rows, and how sure their difference is."""
        before = self._fed(self._tuned.loaded, rows)
        after = self._fed(self._tuned.job(choice), rows)
        old, new = before.shares(), after.shares()
        differences = [new[key] - old[key] for key in old]
        low, high = paired_bootstrap(differences)
        mean = sum(differences) / len(differences)
        bounds = (round(mean, 4), round(low, 4), round(high, 4))
        shown = sign_flip_test(differences) < SURE and low * high > 0
        return Holdout(
            len(rows), self._measures(before), self._measures(after), *bounds, shown=shown
        )

    def _poor(self, steps: Sequence[float], others: Sequence[Trial]) -> bool:
        """Whether the trial is below the middle of the others that came this far."""
        rule = self._tuned.space.prune
        came = [t.result for t in others if t.result and len(t.result.steps) >= len(steps)]
        if rule == "median":
            came = [result for result in came if result.ended == "complete"]
        if rule == "none" or len(came) < FEWEST:
            return False
        return steps[-1] < statistics.median(result.steps[len(steps) - 1] for result in came)

    def _tally(self, loaded: LoadedJob) -> Tally:
        return Tally(loaded, self._caller_of(loaded), self._field)

    def _fed(self, loaded: LoadedJob, rows: Sequence[Row]) -> Tally:
        tally = self._tally(loaded)
        tally.feed(rows)
        return tally

    def _measures(self, tally: Tally) -> dict[str, float | None]:
        return {name: tally.measure(name) for name in self._names}


def front(tuned: Tuned, trials: Sequence[Trial]) -> list[Trial]:
    """The trials within the constraints that no other one beats or equals in all objectives.

    Of equal ones the first stands for all.
    """
    usable = [trial for trial in trials if _within(tuned, trial)]
    values = {trial.number: _values(tuned, trial) for trial in usable}

    def beaten(trial: Trial) -> bool:
        mine = values[trial.number]
        return any(
            all(theirs >= own for theirs, own in zip(values[other.number], mine, strict=True))
            and (values[other.number] != mine or other.number < trial.number)
            for other in usable
            if other.number != trial.number
        )

    return [trial for trial in usable if not beaten(trial)]


def winner(tuned: Tuned, trials: Sequence[Trial], pick: int | None = None) -> Trial | None:
    """The trial of the front that is best in the first objective, then in the next ones.

    Raises:
        UsageError: `pick` is not of the front.
    """
    best = sorted(front(tuned, trials), key=lambda trial: _values(tuned, trial), reverse=True)
    if pick is None:
        return best[0] if best else None
    for trial in best:
        if trial.number == pick:
            return trial
    known = ", ".join(str(trial.number) for trial in best) or "none"
    raise UsageError(
        f"trial {pick} is not of the front", fix=f"of the front: {known}", key="--pick"
    )


def _within(tuned: Tuned, trial: Trial) -> bool:
    result = trial.result
    if result is None or result.ended != "complete":
        return False
    bounds = tuned.space.constraints
    return all(bound.excess(result.measures.get(bound.measure)) == 0 for bound in bounds)


def _values(tuned: Tuned, trial: Trial) -> tuple[float, ...]:
    """The objectives, turned so that more is better."""
    measures = trial.result.measures if trial.result else {}
    return tuple(each.sign * (measures[each.measure] or 0.0) for each in tuned.space.objectives)


def _finite(steps: Sequence[float]) -> list[float]:
    """JSON knows no infinity: a step without a value is far below all others."""
    return [max(step, -1e9) for step in steps]
