"""What each stage is worth: the job once more without it, and the same test.

    without(loaded, "dedup")        # the job less that stage; seeds of the others stay as they are
    ablate(folder, loaded, ["dedup"], options, measure)
    [{"without": "dedup", "rows": 500, "paid": 12, ...}]

Calls that did not change come from the ledger, so only what follows from the missing stage is paid.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.evaluation.loading import Texts, load_texts
from pipelines.job import LoadedJob, build_job
from pipelines.launch import Options, launch
from pipelines.rows import JSON
from prompts.errors import UsageError, unknown


def without(loaded: LoadedJob, stage: str) -> LoadedJob:
    """The job less one stage and its exports.

    Raises:
        UsageError: It has no such stage, or a later one needs what the stage adds.
    """
    data = loaded.job.as_data()
    names = [each["name"] for each in data["stages"]]
    if stage not in names:
        raise unknown("stage", stage, names, key="--ablate")
    data["stages"] = [each for each in data["stages"] if each["name"] != stage]
    data["exports"] = []
    less = LoadedJob(build_job(data), loaded.document, loaded.folder)
    try:
        less.check()
    except UsageError as exc:
        problem = f"the job cannot go without '{stage}': {exc.problem}"
        fix = "ablate stages that only filter or change texts"
        raise UsageError(problem, fix=fix, key="--ablate") from exc
    return less


def ablate(
    loaded: LoadedJob,
    stages: Sequence[str],
    options: Options,
    columns: tuple[str, str],
    measure: Callable[[Texts], dict[str, JSON]],
) -> list[dict[str, JSON]]:
    """Run the job without each stage in turn and measure what comes out.

    Args:
        loaded: The job of the run, with its prompts.
        stages: Names of stages.
        options: With the ledger that the run was made with.
        columns: Those of text and label.
        measure: Gives the figures of a set of rows.
    """
    smaller = [(stage, without(loaded, stage)) for stage in stages]  # all are checked first
    found: list[dict[str, JSON]] = []
    for stage, job in smaller:
        with tempfile.TemporaryDirectory() as name:
            done = launch(job, Path(name) / "run", options)
            made = load_texts(str(done.folder), text=columns[0], label=columns[1], labelled=True)
            paid = done.meter.calls - done.meter.known
        found.append({"without": stage, "rows": len(made), "paid": paid, **measure(made)})
    return found
