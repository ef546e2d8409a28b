r"""Showing an evaluation: lines for a terminal, and a section for a dataset card.

lines({"itself": {"rows": 500, "vendi": 61.3}})     # ["itself", "  rows    500", ...]
markdown(evaluation)                                # "## Evaluation\n\n| Measure | Value | ..."
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.exporters.markdown import plain, table
from pipelines.rows import JSON

MEANINGS = {
    "rows": "rows with text",
    "compression_ratio": "gzip compression ratio, lower is more diverse",
    "self_repetition": "mean log(1 + 4-gram hits in other rows)",
    "self_bleu": "self-BLEU, lower is more diverse",
    "vendi": "Vendi score: effective number of unlike texts",
    "dispersion": "mean cosine distance of two texts",
    "exact_duplicates": "share of exact duplicates",
    "near_duplicates": "share of near-duplicates",
    "coverage": "coverage of real texts (k-NN)",
    "density": "density among real texts (1 is that of real ones)",
    "frontier": "frontier of divergences on clusters of embeddings (1 is the same)",
    "length_divergence": "Jensen-Shannon divergence of lengths, bits",
    "vocabulary_divergence": "Jensen-Shannon divergence of words, bits",
    "detectable": "AUC of a classifier that tells synthetic from real (0.5 is chance)",
    "copied": "share that stands in the real set word for word",
    "closer_than_real": "share nearer to a real text than 95 % of real ones are",
}
SECTIONS = {
    "itself": "By itself",
    "reference": "Beside real data",
    "downstream": "Trained on synthetic, tested on real",
    "ablation": "Without a stage",
    "fine_tuning": "Fine-tuning",
}


def lines(evaluation: Mapping[str, JSON]) -> list[str]:
    """The evaluation for a terminal, a measure a line."""
    found: list[str] = []
    for key, title in SECTIONS.items():
        pairs = list(flat(evaluation.get(key)))
        if pairs:
            width = max(len(name) for name, _ in pairs)
            found += ["", title, *(f"  {name:<{width}}  {value}" for name, value in pairs)]
    return found[1:]


def markdown(evaluation: Mapping[str, JSON]) -> str:
    """A section for a dataset card; it holds no path and no time."""
    parts = ["## Evaluation"]
    real = evaluation.get("real")
    if isinstance(real, Mapping):
        parts.append(f"Real data: {plain(real['source'])}, {real['rows']} rows.")
    for key, title in SECTIONS.items():
        pairs = [(MEANINGS.get(name, name), value) for name, value in flat(evaluation.get(key))]
        if pairs:
            parts += [f"### {title}", table(("Measure", "Value"), pairs)]
    return "\n\n".join(parts)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested figures, on one line each; what is None is left out."""
    if isinstance(value, Mapping) and {"accuracy", "low", "high"} <= set(value):
        yield name, f"{value['accuracy']:.1%} ({value['low']:.1%} to {value['high']:.1%})"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{name} {key}".strip())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            own = item["without"] if "without" in item else f"{item['rows']:,} rows"
            yield from flat(_less(item), f"{name} {own}".strip())
    elif value is not None:
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        yield " ".join(name.split()), shown  # a label may have line breaks


def _less(item: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in item.items() if key != "without"}
