"""The sections of a dataset card that say what the dataset is for and what was measured.

figures(about)   ->   ## Figures

                      | Column | Texts | Words: 5 % | median | 95 % | Distinct-2 | ...
"""

from pipelines.exporters.about import About
from pipelines.exporters.base import Finished
from pipelines.exporters.layout import IMAGES
from pipelines.exporters.markdown import code, plain, table
from pipelines.exporters.near import LIKE
from pipelines.exporters.profile import SAMPLE

_USES = {
    "text": "training and testing language models on plain text",
    "prompt-completion": "supervised fine-tuning on pairs of prompt and completion",
    "messages": "supervised fine-tuning on conversations",
    "classification": "training and testing text classifiers",
}


def intended_use(about: About, run: Finished) -> str:
    """What the dataset can be used for, and what it should not be."""
    use = _USES.get(about.format, "training and testing of models, as its columns suggest")
    said = [
        "## Intended use",
        f"Made for {use}.",
    ]
    if run.manifest["models"]:
        said.append(
            "Not made to be a source of facts, nor to stand in for people who were not asked. "
            "Scores on a split of it say how well a model imitates the models named below, not "
            "how well it does with text that people wrote."
        )
    return "\n\n".join(said)


def stages_picture(about: About) -> list[str]:
    """The picture of the stages, which the table of counts stands under."""
    return _pictures(about, ("stages", "Rows that each stage passed on and rejected"))


def _pictures(about: About, *pictures: tuple[str, str]) -> list[str]:
    """Pictures by name and what they show, where the card has any."""
    return [f"![{shown}]({IMAGES}/{name}.png)" for name, shown in pictures if about.images]


def figures(about: About) -> str:
    """Lengths, diversity and repetition of each column with text; empty where there is none."""
    if not about.figures:
        return ""
    lines = [
        (
            name,
            each.texts,
            *(each.percentile(percent) for percent in (5, 50, 95)),
            f"{each.distinct_2:.3f}",
            f"{each.compression:.2f}",
            f"{each.near_duplicates:.1%}",
        )
        for name, each in about.figures.items()
    ]
    head = ("Column", "Texts", "Words: 5 %", "Median", "95 %", "Distinct-2", "Compression")
    sampled = max(each.sampled for each in about.figures.values())
    rows = "all rows" if sampled < SAMPLE else f"a sample of {SAMPLE:,} rows"
    return "\n\n".join(
        [
            "## Figures",
            table((*head, "Nearly alike"), lines),
            "Words are counted between spaces. Distinct-2 is the share of different ones among all "
            "pairs of neighbouring words, compression the size before gzip over the size after; a "
            "lower distinct-2 and a higher compression mean more repetition, and both depend on "
            "the number of texts. Nearly alike are texts that have a Jaccard similarity of "
            f"{LIKE:g} or more (character 5-grams) with one that is kept. These three are "
            f"those of {rows}.",
            *_pictures(
                about,
                ("lengths", "Lengths of texts in words"),
                ("openings", "The most frequent first two words"),
            ),
        ]
    )


def contamination(run: Finished) -> str:
    """What was found of evaluation sets, or that nobody looked."""
    checked = [entry for entry in run.manifest["stages"] if entry["kind"] == "decontaminate"]
    said = ["## Contamination"]
    if not checked:
        said.append("No stage compared the rows with evaluation sets.")
    for entry in checked:
        # A reason is what was found and the set it is of: "benchmark_copy:gsm8k".
        found = ", ".join(f"{plain(why)} {count}" for why, count in entry["rejected"].items())
        removed = sum(entry["rejected"].values())
        said.append(
            f"The stage {code(entry['stage'])} compared {entry['in']} rows with the evaluation "
            f"sets of its settings and removed {removed}" + (f": {found}." if found else ".")
        )
    return "\n\n".join(said)
