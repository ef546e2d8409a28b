"""What one variant came to: rates with intervals, figures, reasons.

summary = summarise(stage, prompt, traces, gates, cost, words=900, similarity=None)
summary.rates["parsed"]               # Rate(done=39, of=40, ...)
summary.figures["tokens_per_accepted"]
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chains.calls import Reply
from chains.parsing import ParsedValue, parse_reply
from pipelines.evaluation.intrinsic import duplicates
from pipelines.evaluation.surface import distinct, self_bleu, tokens
from pipelines.lab.cells import Gate, Trace, row_of
from pipelines.lab.results import Rate, Summary
from pipelines.lab.statistics import wilson
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.stages.base import Stage
from pipelines.stages.heuristics.base import Text
from pipelines.stages.heuristics.refusal import Refusal
from prompts.prompt import Prompt

Similarity = Callable[[Sequence[tuple[str, str]]], float | None]
"""Mean cosine of pairs of texts."""

LENGTH_REASONS = {"too_short", "too_long"}
_DIGITS = 4


@dataclass(slots=True)
class Cost:
    """What the calls that were paid for a variant took.

    Attributes:
        tokens: Generated or scored.
        seconds: In models.
    """

    tokens: int = 0
    seconds: float = 0.0


def texts_made(stage: Stage, traces: Sequence[Trace]) -> list[str]:
    """The texts that the stage let through."""
    return [
        text_of(stage, trace.row, outcome)
        for trace in traces
        for outcome in trace.made
        if isinstance(outcome, Row)
    ]


def text_of(stage: Stage, before: Row, outcome: Outcome) -> str:
    """What the stage made of a row as one text; of a row that it refused, the reply.

    Several columns are shown as JSON.
    """
    if isinstance(outcome, Rejection) and isinstance(outcome.detail.get("reply"), str):
        return str(outcome.detail["reply"])
    data = row_of(outcome).data
    field = getattr(stage, "field", None)
    names = sorted(stage.columns_added() & set(data)) or [n for n in data if n == field]
    names = names or [name for name, value in data.items() if before.data.get(name) != value]
    values = [data[name] for name in names]
    if len(values) == 1:
        return values[0] if isinstance(values[0], str) else _json(values[0])
    return _json(dict(zip(names, values, strict=True))) if names else ""


def scores_of(before: Row, outcome: Outcome) -> dict[str, float]:
    """The numbers that a row has now and had not before."""
    data = row_of(outcome).data
    return {
        name: float(value)
        for name, value in data.items()
        if name not in before.data
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def mean_logprob(replies: Sequence[Reply]) -> float | None:
    """Log-probability of a token, over all tokens of replies that tell it."""
    told = [(r.logprob, r.completion_tokens) for r in replies if r.logprob is not None]
    count = sum(number for _, number in told)
    return round(math.fsum(value for value, _ in told) / count, _DIGITS) if count else None


def summarise(
    stage: Stage,
    prompt: Prompt | None,
    traces: Sequence[Trace],
    gates: Mapping[str, Gate],
    cost: Cost,
    *,
    words: int,
    similarity: Similarity | None,
) -> Summary:
    """All measures of one variant.

    Args:
        stage: As the variant sets it.
        prompt: Its prompt, where it has one.
        traces: Of all rows and repeats.
        gates: Of the later stages.
        cost: Of what was paid now.
        words: That distinct-n is counted on: those of the variant with the fewest.
        similarity: Compares texts with those that the rows had; None leaves it out.
    """
    made = texts_made(stage, traces)
    rates = _rates(prompt, traces, gates)
    figures = _figures(made, words)
    if similarity is not None:
        figures["similarity"] = similarity(_pairs(stage, prompt, traces))
    figures["logprob"] = mean_logprob([reply for trace in traces for reply in trace.replies])
    accepted = rates["accepted"].done
    spent = sum(trace.tokens for trace in traces)
    figures["tokens_per_accepted"] = spent / accepted if accepted else None
    speed = cost.seconds / cost.tokens if cost.tokens else None
    known = speed is not None and accepted
    figures["seconds_per_accepted"] = speed * spent / accepted if known and speed else None
    figures |= _scores(traces)
    rounded = {k: None if v is None else round(v, _DIGITS) for k, v in figures.items()}
    return Summary(rates, rounded, _reasons(traces))


def rate(done: int, of: int) -> Rate:
    """A share with its interval."""
    low, high = wilson(done, of)
    return Rate(done, of, round(low, _DIGITS), round(high, _DIGITS))


def _rates(
    prompt: Prompt | None, traces: Sequence[Trace], gates: Mapping[str, Gate]
) -> dict[str, Rate]:
    ends = [outcome for trace in traces for outcome in trace.outcomes]
    replies = [reply for trace in traces for reply in trace.replies]
    rates = {"accepted": rate(sum(isinstance(end, Row) for end in ends), len(ends))}
    if replies:
        whole = sum(reply.finish == "stop" for reply in replies)
        refused = sum(Refusal().find(Text(reply.text.strip())) is not None for reply in replies)
        if prompt is not None:
            parsed = sum(_parses(prompt, reply) for reply in replies)
            rates["parsed"] = rate(parsed, len(replies))
        rates |= {"whole": rate(whole, len(replies)), "refused": rate(refused, len(replies))}
    made = [outcome for trace in traces for outcome in trace.made]
    measured = [outcome for outcome in made if _has_length(outcome)]
    if measured:
        missed = sum(isinstance(m, Rejection) and m.reason in LENGTH_REASONS for m in measured)
        rates["length"] = rate(len(measured) - missed, len(measured))
    for name, gate in gates.items():
        if gate.passed < gate.came:
            rates[f"gate:{name}"] = rate(gate.passed, gate.came)
    return rates


def _parses(prompt: Prompt, reply: Reply) -> bool:
    return reply.finish != "error" and isinstance(
        parse_reply(prompt.output, reply.text), ParsedValue
    )


def _has_length(outcome: Outcome) -> bool:
    history = row_of(outcome).history
    return bool(history) and isinstance(history[-1].get("length"), dict)


def _figures(made: Sequence[str], words: int) -> dict[str, float | None]:
    split = [tokens(text) for text in made]
    near = duplicates(made) if made else {}
    return {
        "words": sum(map(len, split)) / len(split) if split else None,
        "distinct_1": distinct(split, 1, words) if words else None,
        "distinct_2": distinct(split, 2, words) if words else None,
        "near_duplicates": near.get("near_duplicates"),
        "exact_duplicates": near.get("exact_duplicates"),
        "self_bleu": self_bleu([each for each in split if each]),
    }


def _pairs(stage: Stage, prompt: Prompt | None, traces: Sequence[Trace]) -> list[tuple[str, str]]:
    """Each text that was made, with those of the row that the prompt shows, or with all."""
    inputs = getattr(stage, "inputs", {})
    pairs = []
    for trace in traces:
        used = prompt.variables_used() if prompt is not None else trace.row.data
        names = [inputs.get(name, name) for name in used]
        values = [trace.row.data.get(name) for name in sorted(names)]
        source = "\n".join(value for value in values if isinstance(value, str))
        made = texts_made(stage, [trace])
        pairs += [(source, text) for text in made if source.strip() and text.strip()]
    return pairs


def _scores(traces: Sequence[Trace]) -> dict[str, float | None]:
    found: dict[str, list[float]] = {}
    for trace in traces:
        for outcome in trace.outcomes:
            for name, value in scores_of(trace.row, outcome).items():
                found.setdefault(f"score:{name}", []).append(value)
    return {name: math.fsum(values) / len(values) for name, values in sorted(found.items())}


def _reasons(traces: Sequence[Trace]) -> dict[str, int]:
    ends = (outcome for trace in traces for outcome in trace.outcomes)
    counts = Counter(f"{e.stage}: {e.reason}" for e in ends if isinstance(e, Rejection))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
