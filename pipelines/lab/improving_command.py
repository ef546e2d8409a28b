"""What the command `prompts improve` does: propose, judge, show, and write the winner's file.

qa/question: 55 % of 20 rows accepted as it is
a proposal: 70 % accepted
lab/proposal accepts 8 to 31 points more rows than current (95 %)
written: prompts/library/qa/question@improved.yaml
"""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from pipelines.calling import Interrupted
from pipelines.console import Progress, Signals, say, show, show_json
from pipelines.files import write_atomically
from pipelines.job import LoadedJob
from pipelines.lab.improving import DRAFT, Improved, Wish, improve
from pipelines.lab.variants import beside, prompt_of
from pipelines.launch import Options, default_ledger, open_caller
from pipelines.ledger import Ledger
from prompts.errors import UsageError, unknown
from prompts.prompt import LIBRARY

IMPROVED = "@improved"


def improve_prompt(
    loaded: LoadedJob,
    name: str,
    wish: Wish,
    options: Options,
    *,
    out: Path | None,
    as_json: bool,
) -> None:
    """Improve a prompt of a job and write the variant that wins.

    Args:
        loaded: The job.
        name: The prompt.
        wish: How; without a stage, the first one that has the prompt.
        options: Ledger, and how to open models.
        out: The file to write; left out, `NAME@improved` beside the prompt.
        as_json: Show one JSON object.

    Raises:
        UsageError: The job does not use the prompt, or the file exists.
        TextmillError: A source or a model failed.
    """
    loaded.check()
    wish = _with_stage(loaded, name, wish)
    target = out or _beside(loaded, name)
    if target.exists():
        raise UsageError("the file exists", fix="give --out a new name", file=target)
    signals = Signals()
    options = Options(options.ledger, options.offline, watch=Progress(signals, hidden=True))
    with (
        Ledger(options.ledger or default_ledger()) as ledger,
        closing(open_caller(loaded, ledger, options)) as caller,
    ):
        try:
            found = improve(loaded, wish, caller, say)
        except Interrupted:
            say("interrupted; go on with the same command: what was paid for is in the ledger")
            sys.exit(128 + signals.received)
    if found.winner is not None:
        write_atomically(target, found.winner.source)
    if as_json:
        show_json({**asdict(found), "file": str(target) if found.winner else None})
    else:
        show("\n".join(report_lines(found, target)))


def report_lines(found: Improved, target: Path) -> list[str]:
    """What came of it, for a person."""
    lines = [f"{found.prompt}: {found.before:.0%} accepted as it is"]
    lines += [f"  {place}  {each.fate}" for place, each in enumerate(found.tried, start=1)]
    if found.contrast is None:
        why = "nothing fails" if found.before == 1 else "no proposal did better"
        return [*lines, f"nothing is written: {why} on the rows that were learned from"]
    lines.append(f"on {found.contrast.rows} other rows: {found.contrast.verdict}")
    if found.winner is None:
        return [*lines, "nothing is written: it has to show there"]
    written = f"written: {target} ({DRAFT} above)"
    return [*lines, f"{written}; prompts diff shows what changed, prompts promote takes it over"]


def _with_stage(loaded: LoadedJob, name: str, wish: Wish) -> Wish:
    """The wish with the stage that has the prompt.

    Raises:
        UsageError: None has, or the one that is named has another.
    """
    used = {stage.name: prompt_of(stage) for stage in loaded.job.stages if prompt_of(stage)}
    if wish.stage:
        if wish.stage not in used:
            raise unknown("stage with a prompt", wish.stage, list(used), key="--stage")
        if used[wish.stage] != name:
            problem = f"stage '{wish.stage}' has the prompt '{used[wish.stage]}'"
            raise UsageError(problem, fix=f"improve {used[wish.stage]}", key="--stage")
        return wish
    for stage, prompt in used.items():
        if prompt == name:
            fields = {**asdict(wish), "stage": stage}
            return Wish(**fields)
    raise unknown("prompt of the job", name, list(used.values()))


def _beside(loaded: LoadedJob, name: str) -> Path:
    """Where the variant goes: the library, the prompt's folder, or for a job's own the job's."""
    variant = beside(name, IMPROVED)
    if name in loaded.job.prompts:
        return loaded.folder / f"{variant.rpartition('/')[2]}.yaml"
    if name.endswith((".yaml", ".yml")):
        return loaded.folder / variant
    return LIBRARY / f"{variant}.yaml"
