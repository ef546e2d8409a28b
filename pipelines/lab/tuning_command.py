"""What the command `tune` does: open study, ledger and models, search, show, write the winner.

trial  accept_rate  review.decoding.temperature  review.decoding.top_p
job       0.5417
   7 *    0.7917     0.6241                       0.8312
   3      0.7500     0.4100                       0.9004
"""

import difflib
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.calling import Interrupted
from pipelines.console import Progress, Signals, say, show, show_json
from pipelines.files import dump_yaml, write_atomically
from pipelines.job import LoadedJob, load_job
from pipelines.lab.callers import Callers
from pipelines.lab.tuning import Found, tune
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_plots import plot
from pipelines.lab.tuning_space import Space
from pipelines.lab.tuning_study import Trial, open_study
from pipelines.launch import Options, outputs_folder
from pipelines.ledger import Ledger
from pipelines.rows import JSON
from prompts.errors import TextmillError, UsageError

SHOWN = 12
"""Trials that are listed; --json has all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        study: The file of trials; left out, `NAME.study.sqlite` under the outputs folder.
        apply: Where to write the job with the winner put in.
        plot: Where to draw the trials.
        pick: The trial to take instead of the best.
        as_json: Show one JSON object.
    """

    study: Path | None = None
    apply: Path | None = None
    plot: Path | None = None
    pick: int | None = None
    as_json: bool = False


def tune_job(loaded: LoadedJob, space: Space, wanted: Wanted, options: Options) -> None:
    """Search, show what came of it, and write what was asked for.

    Raises:
        UsageError: The space does not fit the job, or a file that is to be written exists.
        TextmillError: A source or a model failed.
    """
    loaded.check()
    if wanted.apply is not None:
        _check_target(wanted.apply)
    tuned = Tuned(loaded, space)
    file = wanted.study or outputs_folder() / f"{loaded.job.name}.study.sqlite"
    signals = Signals()
    watch = Progress(signals, hidden=True)
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(options.ledger or file.parent / "ledger.sqlite"))
        callers = stack.enter_context(closing(Callers(ledger, replace(options, watch=watch))))
        study = open_study(file, tuned)
        _announce(tuned, len(study.finished()))
        try:
            found = tune(tuned, study, callers, _Reporter(tuned), pick=wanted.pick)
        except Interrupted:
            say(
                f"interrupted; {len(study.finished())} trials are kept; go on with the same command"
            )
            sys.exit(128 + signals.received)
        asked, known = callers.calls()
    if wanted.as_json:
        show_json({**found.as_json(), "calls": asked, "from_ledger": known, "study": str(file)})
    else:
        show("\n".join(report_lines(tuned, found)))
        show(f"calls       {asked}: {known} from the ledger, {asked - known} paid")
        show(f"study       {file}")
    if wanted.plot is not None:
        write_atomically(wanted.plot, plot(tuned, found))
        say(f"plot        {wanted.plot}")
    if wanted.apply is not None:
        _apply(tuned, found, wanted.apply)


class _Reporter:
    """Says what came of each trial."""

    def __init__(self, tuned: Tuned) -> None:
        self._tuned = tuned

    def __call__(self, trial: Trial) -> None:
        result = trial.result
        if result is None:
            return
        aims = [each.measure for each in self._tuned.space.objectives]
        figures = ", ".join(f"{name} {_figure(result.measures[name])}" for name in aims)
        ended = "" if result.ended == "complete" else f" ({result.ended} after {result.rows} rows)"
        say(f"trial {trial.number} of {self._tuned.space.trials}: {figures}{ended}")


def report_lines(tuned: Tuned, found: Found) -> list[str]:
    """The study as a person reads it: best trials, what matters, the held-out rows."""
    lines = _table(tuned, found)
    if len(tuned.space.objectives) > 1:
        numbers = ", ".join(str(trial.number) for trial in found.front)
        lines += ["", f"front       trials {numbers}: none of them beats another in everything"]
    if found.importance:
        lines += ["", "importance  (what sets the best trials apart, PED-ANOVA)"]
        width = max(map(len, found.importance))
        for key, share in found.importance.items():
            lines.append(f"  {key:<{width}}  {share:6.1%}  {'█' * round(30 * share)}".rstrip())
    return [*lines, "", *_verdict(tuned, found), ""]


def _announce(tuned: Tuned, done: int) -> None:
    space = tuned.space
    count = f"{space.trials} trials"
    if space.method == "grid":
        count = f"a grid of {tuned.grid_size()} choices, {space.trials} trials at most"
    begun = f", {done} of them done" if done else ""
    say(f"{count}{begun}, of {space.rows} source rows each, over {', '.join(tuned.domains)}")


def _table(tuned: Tuned, found: Found) -> list[str]:
    measures = list(found.baseline)
    aims = tuned.space.objectives
    order = sorted(
        found.trials, key=lambda trial: _rank(found, trial, aims[0].measure, aims[0].sign)
    )
    rows = [["trial", *measures, *tuned.domains]]
    rows.append(["job", *[_figure(found.baseline[name]) for name in measures]])
    for trial in order[:SHOWN]:
        result = trial.result
        values = [_figure(result.measures.get(name)) for name in measures] if result else []
        mark = " *" if found.best and trial.number == found.best.number else ""
        if result and result.ended != "complete":
            mark = f" {result.ended}"
        rows.append([f"{trial.number}{mark}", *values, *map(_setting, trial.choice.values())])
    widths = [max(len(row[c]) for row in rows if c < len(row)) for c in range(len(rows[0]))]
    lines = [
        "  ".join(f"{text:<{widths[c]}}" for c, text in enumerate(row)).rstrip() for row in rows
    ]
    left = len(order) - SHOWN
    return [*lines, f"({left} more trials)"] if left > 0 else lines


def _rank(found: Found, trial: Trial, measure: str, sign: int) -> tuple[bool, bool, float, int]:
    """The winner first, then the complete trials, the best of them first."""
    best = found.best is not None and trial.number == found.best.number
    result = trial.result
    value = result.measures.get(measure) if result else None
    complete = result is not None and result.ended == "complete"
    return not best, not complete, -sign * (value if value is not None else 0.0), trial.number


def _verdict(tuned: Tuned, found: Found) -> list[str]:
    if found.best is None:
        return ["no trial is complete and within the constraints"]
    if (
        len({trial.result.measures.get("accept_rate") for trial in found.trials if trial.result})
        < 2
    ):
        same = all(o.measure == "accept_rate" for o in tuned.space.objectives)
        if same and len(found.trials) > 1:
            return ["all trials came to the same: aim at something that the settings change"]
    held = found.holdout
    if held is None:
        return ["not checked on other rows: the source has none left, or holdout is 0"]
    aims = [each.measure for each in tuned.space.objectives]
    figures = [f"{name} {_figure(held.job[name])} -> {_figure(held.winner[name])}" for name in aims]
    points = f"{held.low * 100:+.0f} to {held.high * 100:+.0f} points of accepted rows (95 %)"
    word = "a difference is shown" if held.shown else "no difference in accepted rows is shown"
    return [f"on {held.rows} other rows, job -> winner: {', '.join(figures)}; {points}: {word}"]


def _check_target(path: Path) -> None:
    if path.exists():
        raise UsageError("the file exists", fix="give --apply a new name", file=path)


def _apply(tuned: Tuned, found: Found, path: Path) -> None:
    """Write the job with the winner put in, and show what changed.

    Raises:
        UsageError: There is no winner, or the file is not a valid job where it is to stand.
    """
    if found.best is None:
        fix = "loosen the constraints or try more trials"
        raise UsageError("there is no winner to apply", fix=fix, key="--apply")
    before = dump_yaml(tuned.data({}))
    after = dump_yaml(tuned.data(found.best.choice))
    write_atomically(path, after)
    try:
        load_job(path).check()
    except TextmillError as exc:
        path.unlink()
        exc.fix = "write it beside the job, where its relative paths lead on"
        raise
    name = str(tuned.loaded.document.file)
    show("".join(difflib.unified_diff(_lines(before), _lines(after), name, str(path))).rstrip())
    say(f"run it with: {shlex.join(['python', 'run_pipeline.py', 'run', str(path)])}")


def _lines(text: str) -> Sequence[str]:
    return text.splitlines(keepends=True)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _setting(value: JSON) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
