"""The sections on evaluation and provenance: what was measured, how to make the run again."""

from collections.abc import Mapping
from typing import Any

from pipelines.evaluation.report import MEANINGS, SECTIONS, flat
from pipelines.exporters.public import hindrance, public, public_jobs
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, table
from pipelines.rows import canonical


def evaluation(material: Material) -> Markup:
    """The figures of `evaluation.json`."""
    parts: list[Markup] = []
    real = material.evaluation.get("real")
    if isinstance(real, Mapping):
        parts.append(
            tag("p", f"Real data: {real['source']}, {real['rows']:,} rows.", class_="note")
        )
    for key, title in SECTIONS.items():
        pairs = [
            (MEANINGS.get(name, name), shown) for name, shown in flat(material.evaluation.get(key))
        ]
        if pairs:
            parts += [tag("h3", title), table(("Measure", "Value"), pairs)]
    return joined(parts)


def provenance(material: Material) -> Markup:
    """The command, the jobs, models, prompts and versions."""
    manifest = material.manifest
    jobs = public_jobs(dict(manifest), material.job)
    many = " and join them with textmill merge" if len(jobs) > 1 else ""
    hindered = hindrance(manifest)
    same = (
        f"{hindered}, so that another one may end elsewhere."
        if hindered
        else "With the same sources, models, versions and class of machine it makes the same bytes."
    )
    commands = "\n".join(
        f"textmill run {name} --out {name.removesuffix('.yaml')}-run" for name in jobs
    )
    return joined(
        [
            tag("p", f"Save what is below as {' and '.join(jobs)}{many}. {same}"),
            tag("pre", tag("code", commands), tabindex=0),
            [_opened(name, text) for name, text in jobs.items()],
            _models(manifest["models"]),
            _prompts(material),
            tag("h3", "Made with"),
            table(("What", "Version"), _versions(manifest), numbers=2),
        ]
    )


def _opened(title: str, text: str) -> Markup:
    return tag("details", tag("summary", title), tag("pre", tag("code", text), tabindex=0))


def _models(models: Mapping[str, Mapping[str, Any]]) -> Markup:
    if not models:
        return tag("p", "No language model took part.")
    lines = [
        (name, ", ".join(f"{key} {_value(value)}" for key, value in public(model).items() if value))
        for name, model in models.items()
    ]
    return joined([tag("h3", "Models"), table(("Model", "What it is"), lines, numbers=2)])


def _prompts(material: Material) -> Markup:
    texts = material.job.get("prompts", {})
    shown = [
        _opened(f"{public(name)}, hash {sha}", texts[name])
        for name, sha in material.manifest["prompts"].items()
        if name in texts
    ]
    return joined([tag("h3", "Prompts"), *shown]) if shown else Markup()


def _versions(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    job = manifest["job"]
    return [
        ("job", f"{job['name']}, seed {job['seed']}, hash {job['sha']}"),
        ("textmill", manifest["textmill"]),
        *((name, str(version)) for name, version in manifest["versions"].items()),
        ("machine", _value(public(manifest["machine"]))),
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)
