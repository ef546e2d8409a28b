"""What a run's calls to servers cost, as the job's prices say.

    usage.report(specs, rows=30)
    # {"writer": {"prompt_tokens": 5100, "completion_tokens": 900, "cost": 0.0042,
    #             "cost_per_row": 0.00014}}

Calls that the ledger knows are counted like those that were paid, so that a run and its repeat say
the same. What is summed up is committed with every block, beside what stages remember.
"""

from collections.abc import Iterable, Mapping, Sequence

from chains.calls import Reply
from chains.models.spec import ModelSpec
from pipelines.rows import JSON

NAME = "models:usage"
"""Among what is remembered; no stage can have this name."""


class Usage:
    """Tokens of prompts and replies, by model; implements `pipelines.stages.base.State`."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}
        self._fresh: dict[str, tuple[int, int]] = {}

    def add(self, model: str, replies: Iterable[Sequence[Reply]]) -> None:
        """Count the replies to some calls."""
        asked, written = 0, 0
        for found in replies:
            asked += sum(reply.prompt_tokens for reply in found)
            written += sum(reply.completion_tokens for reply in found)
        self.count(model, asked, written)

    def count(self, model: str, asked: int, written: int) -> None:
        """Count tokens of prompts and of replies."""
        _grow(self._fresh, model, asked, written)
        _grow(self._sums, model, asked, written)

    def additions(self) -> list[JSON]:
        """What came in since the last call."""
        fresh, self._fresh = self._fresh, {}
        return [[model, *tokens] for model, tokens in sorted(fresh.items())]

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what was committed."""
        for model, asked, written in additions:
            _grow(self._sums, model, asked, written)

    def report(self, specs: Mapping[str, ModelSpec], rows: int) -> dict[str, JSON]:
        """Tokens of each model, and what they cost where it has a price."""
        said: dict[str, JSON] = {}
        for model, (asked, written) in sorted(self._sums.items()):
            entry: dict[str, JSON] = {"prompt_tokens": asked, "completion_tokens": written}
            price = specs[model].price
            if price is not None:
                cost = price.cost(asked, written)
                entry["cost"] = round(cost, 6)
                entry["cost_per_row"] = round(cost / rows, 9) if rows else None
            said[model] = entry
        return said


def usage_lines(usage: Mapping[str, JSON]) -> list[str]:
    """Tokens and cost of each model, as a run shows them."""
    lines = []
    for model, entry in usage.items():
        text = f"{entry['prompt_tokens']:,} tokens in, {entry['completion_tokens']:,} out"
        if "cost" in entry:
            each = "" if entry["cost_per_row"] is None else f", {entry['cost_per_row']:.6g} a row"
            text += f", cost {entry['cost']:.6g}{each}"
        lines.append(f"{'usage':<10}  {model}: {text}")
    return lines


def _grow(sums: dict[str, tuple[int, int]], model: str, asked: int, written: int) -> None:
    before = sums.get(model, (0, 0))
    sums[model] = (before[0] + asked, before[1] + written)
