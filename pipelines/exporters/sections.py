"""The sections of a dataset card, each a function that gives Markdown.

counts(about, run)   ->   ## Counts

                   | Stage | Kind | In | Created | Out | Rejected |
                   ...
"""

import json
from collections.abc import Mapping
from typing import Any

from pipelines.exporters.about import About
from pipelines.exporters.base import Finished
from pipelines.exporters.findings import stages_picture
from pipelines.exporters.markdown import code, details, fence, plain, table
from pipelines.exporters.public import hindrance, public, public_job, public_jobs
from pipelines.rows import JSON, canonical

_LONGEST = 1000  # characters of one text in the example row
_MOST_ENTRIES = 100  # entries of a list that a stage or source reports


def summary(about: About, run: Finished) -> str:
    """What the dataset is, in two sentences."""
    job = run.manifest["job"]
    sizes = ", ".join(f"{plain(split)} {count}" for split, count in about.rows.items())
    made = (
        "Text in it was generated or rewritten by language models; see below by which and how."
        if run.manifest["models"]
        else "No language model took part."
    )
    return (
        f"{sum(about.rows.values())} rows ({sizes}) in the format {code(about.format)}, made by "
        f"the textmill job {code(job['name'])} with seed {job['seed']}. {made}"
    )


def how_it_was_made(run: Finished) -> str:
    """Sources, stages with all their settings, models and prompts."""
    parts = ["## How it was made"]
    merged = run.manifest.get("parts", [])
    if merged:
        parts.append(
            f"{len(merged)} runs were merged: rows that an earlier run has too were left out, and "
            "the splits were made of what they have together."
        )
    for job, numbers in _jobs(run):
        runs = f" of run {numbers}" if merged else ""
        parts.append(_numbered(f"Sources{runs}", public(job["sources"])))
        parts.append(_numbered(f"Stages{runs}", public(job["stages"])))
    if run.manifest["models"]:
        parts.append(_models(public(run.manifest["models"])))
    if run.manifest["prompts"]:
        parts.append(_prompts(run))
    return "\n\n".join(parts)


def _jobs(run: Finished) -> list[tuple[Mapping[str, Any], str]]:
    """The different jobs that made the rows, each with the numbers of the merged runs it made."""
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for part in run.manifest.get("parts", []):
        job = part["resolved"]
        same = canonical({key: job[key] for key in ("sources", "stages")})
        found.setdefault(same, (job, []))[1].append(str(part["part"]))
    return [(job, ", ".join(numbers)) for job, numbers in found.values()] or [(run.job, "")]


def counts(about: About, run: Finished) -> str:
    """The funnel as the manifest has it."""
    rows = [
        (
            entry["stage"],
            entry["kind"],
            entry["in"],
            entry["created"],
            entry["out"],
            ", ".join(f"{reason} {count}" for reason, count in entry["rejected"].items()) or "none",
        )
        for entry in run.manifest["stages"]
    ]
    return "\n\n".join(
        [
            "## Counts",
            *stages_picture(about),
            "For every stage, in + created = out + rejected.",
            table(("Stage", "Kind", "In", "Created", "Out", "Rejected"), rows),
            f"The run ended with {run.manifest['rows']} rows. Why it ended: "
            f"{plain(run.manifest['stop'])}.",
        ]
    )


def reports(run: Finished) -> str:
    """What stages found out about all rows together; empty where none did."""
    said: Mapping[str, Mapping[str, Any]] = run.manifest.get("reports", {})
    parts = ["## Findings"] if said else []
    for stage, report in said.items():
        parts.append(f"### {plain(stage)}")
        numbers = [f"{key} {plain(value)}" for key, value in report.items() if _is_scalar(value)]
        parts += [", ".join(numbers)] if numbers else []
        for title, value in report.items():
            if isinstance(value, Mapping):
                parts.append(table((plain(title), "rows"), list(value.items())))
            elif isinstance(value, list) and value:
                shown = value[:_MOST_ENTRIES]
                lines = [[_cell(item) for item in entry.values()] for entry in shown]
                parts.append(table(tuple(plain(key) for key in value[0]), lines))
                left = len(value) - len(shown)
                parts += [f"And {left} more, listed in the manifest."] if left else []
    return "\n\n".join(parts)


def _is_scalar(value: JSON) -> bool:
    return not isinstance(value, Mapping | list)


def _cell(value: JSON) -> JSON:
    """A value of a report in one cell: counts by name in a row."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return value


def splits(about: About) -> str:
    """Sizes of the splits, and what they keep together."""
    whole = sum(about.shares.values())
    rows = [
        (split, count, f"{about.shares[split] / whole:.1%}") for split, count in about.rows.items()
    ]
    kept = (
        "All rows that come from one source row (its replies and variants) are in the same split. "
    )
    if about.together:
        kept += plain(about.together)
    else:
        kept += (
            "Rows of different source rows may resemble each other, unless a stage removed such "
            "rows."
        )
    if about.label:
        kept += f" As nearly as that allows, {code(about.label)} is spread alike over the splits."
    missing = [split for split in about.rows if split not in about.files]
    if missing:
        names = ", ".join(code(split) for split in missing)
        kept += f" Source rows were too few to give any to {names}: there is no file."
    if not any(about.rows.values()):
        kept += " All splits are empty; `load_dataset(..., streaming=True)` reads their columns."
    return "\n\n".join(["## Splits", table(("Split", "Rows", "Share wanted"), rows), kept])


def columns(about: About) -> str:
    """The columns with their types, an example, and how to find out where a row comes from."""
    parts = [
        "## Columns",
        table(("Column", "Type"), [(name, t.describe()) for name, t in about.types.items()]),
    ]
    if about.example is not None:
        example = json.dumps(_shortened(about.example), ensure_ascii=False, indent=2)
        parts += ["The first row:", fence(example, "json")]
    parts.append(
        "The config `lineage` has one row for each row here, in the same order: `index` is the "
        "row's place in its split, `id` its name in the run, `family` the source row it is from, "
        "`source`, `key`, `document`, `start` and `end` where that was found, and `history` (JSON) "
        "what every stage did to it."
    )
    return "\n\n".join(parts)


def reproduce(run: Finished) -> str:
    """The commands, the jobs, and what has to be the same."""
    jobs = public_jobs(run.manifest, run.job)
    save = "the job below as `job.yaml`" if len(jobs) == 1 else "the jobs below under their names"
    hindered = hindrance(run.manifest)
    parts = [
        "## Reproduce",
        f"Save {save}. {hindered}, so another one may end elsewhere:"
        if hindered
        else f"Save {save}. With the same sources, models, versions and class of machine, this "
        "makes the same bytes:",
        fence("\n".join(_commands(run, list(jobs))), "sh"),
        *(details(name, fence(text, "yaml")) for name, text in jobs.items()),
    ]
    private = [part["resolved"] for part in run.manifest.get("parts", [])] or [run.job]
    if any(public_job(job) != job for job in private):
        parts.append(
            "Absolute paths and server addresses are left out of this card: put your own in the "
            "place of `(local)/...` and `(server)`."
        )
    made_with = {"textmill": run.manifest["textmill"], **run.manifest["versions"]}
    lines = [*made_with.items(), ("machine", _inline(public(run.manifest["machine"])))]
    parts.append(table(("Made with", "Version"), lines))
    return "\n\n".join(parts)


def _commands(run: Finished, jobs: list[str]) -> list[str]:
    if not run.manifest.get("parts"):
        return ["textmill run job.yaml --out run"]
    runs = [f"run-{number}" for number in range(1, len(jobs) + 1)]
    made = [f"textmill run {job} --out {name}" for job, name in zip(jobs, runs, strict=True)]
    return [*made, f"textmill merge {' '.join(runs)} --out run"]


def license_note(about: About, run: Finished) -> str:
    """The license, and whose terms besides it have a say."""
    chosen = (
        f"This dataset is released under {code(about.license)}."
        if about.license
        else "No license was chosen for this dataset."
    )
    parts = ["## License", chosen]
    parts.append(
        f"The terms of its sources apply to what was taken from them: {', '.join(_sources(run))}."
    )
    for name, model in public(run.manifest["models"]).items():
        terms = plain(model.get("license") or "not stated by the model")
        title = plain(model.get("model") or name)
        parts.append(f"The terms of the model {title} apply to what it generated: {terms}.")
    return "\n\n".join(parts)


def limits(run: Finished) -> str:
    """What the dataset cannot be trusted for."""
    known = [
        "Nobody has read every row. The stages above are all the checking there was.",
        "It has the gaps and the slant of its sources, and its size says nothing about variety.",
    ]
    if run.manifest["models"]:
        known += [
            "Generated text may be wrong while it sounds right: check names, numbers and dates.",
            "It has the biases of the models that wrote it, and their style repeats itself.",
        ]
    return "\n\n".join(["## Limits", "\n".join(f"- {line}" for line in known)])


def _numbered(title: str, items: list[dict[str, Any]]) -> str:
    """A numbered list of parts of the job, each with the settings that are not empty."""
    lines = [f"### {title}", ""]
    for number, item in enumerate(items, start=1):
        kind = item["kind"]
        name = item.get("name") or kind
        lines.append(f"{number}. **{plain(name)}**" + (f" ({plain(kind)})" if name != kind else ""))
        lines += [
            f"    - {plain(key)}: {code(_inline(value))}"
            for key, value in item.items()
            if key not in ("kind", "name") and value not in (None, "", [], {})
        ]
    return "\n".join(lines if items else [*lines, "none"])


def _models(models: Mapping[str, Mapping[str, JSON]]) -> str:
    lines = ["### Models", ""]
    for name, model in models.items():
        lines.append(f"- **{plain(name)}**")
        lines += [
            f"    - {plain(key)}: {code(_inline(value))}"
            for key, value in model.items()
            if value not in (None, "", [], {})
        ]
    return "\n".join(lines)


def _prompts(run: Finished) -> str:
    blocks = [
        details(f"{public(name)}, hash {sha}", fence(run.job["prompts"][name], "yaml"))
        for name, sha in run.manifest["prompts"].items()
    ]
    return "\n\n".join(["### Prompts", *blocks])


def _sources(run: Finished) -> list[str]:
    found = (_source(source) for job, _ in _jobs(run) for source in public(job)["sources"])
    return list(dict.fromkeys(found))


def _source(source: Mapping[str, JSON]) -> str:
    """A source by its kind and the first setting that says where it is."""
    place = next((source[key] for key in ("path", "url") if source.get(key)), None)
    kind = plain(source["kind"])
    return kind if place is None else f"{kind} {code(_inline(place))}"


def _inline(value: JSON) -> str:
    """A value on one line: a text as it is where it fits on one, else as JSON."""
    if isinstance(value, str) and value.isprintable() and value == value.strip():
        return value
    return canonical(value)


def _shortened(value: JSON) -> JSON:
    """`value` with long texts cut; what was cut is said."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]} ... ({len(value) - _LONGEST} more characters)"
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value
