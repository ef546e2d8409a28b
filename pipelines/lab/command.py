"""What the command `compare` does: read its options, compare, show.

named_settings(["hot=decoding.temperature=1.2", "hot=attempts=1"])
# {"hot": {"decoding.temperature": 1.2, "attempts": 1}}
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.calling import Caller, Interrupted
from pipelines.console import Signals, say, show_json
from pipelines.files import write_atomically
from pipelines.job import LoadedJob
from pipelines.lab.compare import Plan, compare
from pipelines.lab.results import Comparison
from pipelines.lab.variants import CURRENT, SETTING
from pipelines.launch import Options
from pipelines.rows import JSON
from pipelines.runner import Watch
from prompts.errors import UsageError
from prompts.strict_yaml import read_yaml


class _Steps(Watch):
    """Says which variant is tried; silent where that is not wanted."""

    def __init__(self, signals: Signals, *, hidden: bool) -> None:
        self._signals = signals
        self._hidden = hidden

    def on_stage(self, stage: str) -> None:
        """A variant, or a stage before it, begins."""
        if not self._hidden:
            say(f"{stage} ...")

    def on_batch(self, caller: Caller) -> None:
        """Nothing is said of single batches."""

    def stop_requested(self) -> bool:
        """Whether a signal came in."""
        return self._signals.received != 0


def compare_job(
    loaded: LoadedJob,
    plan: Plan,
    options: Options,
    *,
    shown: int,
    html: Path | None,
    as_json: bool,
    hidden: bool,
) -> None:
    """Compare and show.

    Args:
        loaded: The job.
        plan: What to compare.
        options: How; its `watch` is replaced.
        shown: Rows to show the texts of.
        html: Where to write a page.
        as_json: Show one JSON object.
        hidden: Say nothing while it goes on.

    Raises:
        TextmillError: As `compare`.
    """
    signals = Signals()
    watch = _Steps(signals, hidden=hidden or not sys.stderr.isatty())
    try:
        found = compare(loaded, plan, replace(options, watch=watch))
    except Interrupted:
        say("interrupted; what was paid for is in the ledger: the same command goes on")
        sys.exit(128 + signals.received)
    if html is not None:
        from pipelines.reports.comparison import comparison_page

        write_atomically(html, comparison_page(found))
        say(f"page: {html}")
    if as_json:
        show_json(found.as_json())
    else:
        _show(found, plan, shown)


def named_settings(options: Sequence[str]) -> dict[str, dict[str, JSON]]:
    """Settings by name, from `NAME=KEY=VALUE`; values are YAML.

    Raises:
        UsageError: Not of that form.
    """
    found: dict[str, dict[str, JSON]] = {}
    for option in options:
        name, _, rest = option.partition("=")
        key, equals, text = rest.partition("=")
        if not equals or not key or not text.strip():
            fix = f"write {SETTING} hot=decoding.temperature=1.2"
            raise UsageError(f"{SETTING} {option}: not NAME=KEY=VALUE", fix=fix)
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name == CURRENT:
            fix = "use letters, digits, '_', '-' and '.'"
            raise UsageError(f"{SETTING} {option}: '{name}' cannot name a variant", fix=fix)
        found.setdefault(name, {})[key] = read_yaml(text, file=f"{SETTING} {name}={key}").data
    return found


def _show(found: Comparison, plan: Plan, shown: int) -> None:
    from pipelines.lab.showing import calls_line, show_comparison

    show_comparison(found, shown=shown)
    say(calls_line(found))
    if len(found.rows) < plan.rows:
        say(f"only {len(found.rows)} of {plan.rows} rows reach the stage: the sources end there")
