"""Ways to set one stage: `@short`, `hot`, `qa/question+hot`, each by every model that is named.

    read_variants(stage, ("current", "@short+hot"), {"hot": {"decoding.temperature": 1.2}}, ())
    # (Variant("current", {}), Variant("@short+hot", {"prompt": "qa/question@short", ...}))
    varied(loaded, "question", variant)      # the job with the stage set so

A part of a variant's name is `current` (as the job has it), a setting's name, a model of the job,
`@VARIANT` of the stage's own prompt, or a prompt.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipelines.job import LoadedJob, build_job
from pipelines.lab.results import VariantView
from pipelines.overrides import apply_override
from pipelines.rows import JSON
from pipelines.stages.base import ModelStage, Stage
from prompts.errors import TextmillError, UsageError, nearest
from prompts.prompt import library_names

CURRENT = "current"
KEY = "--variants"
SETTING = "--set-variant"

_FIXED = {"kind", "name"}  # a seed depends on the name, so that variants share it

Settings = Mapping[str, Mapping[str, JSON]]
"""Name -> dotted key of the stage -> value."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to set a stage.

    Attributes:
        name: As the user calls it.
        changes: Dotted key of the stage -> value.
    """

    name: str
    changes: dict[str, JSON] = field(default_factory=dict)


def read_variants(
    loaded: LoadedJob, stage: Stage, names: Sequence[str], settings: Settings, models: Sequence[str]
) -> tuple[Variant, ...]:
    """The variants that are asked for, the baseline first.

    A setting that no name uses is a variant of its own. Where only one is asked for, the stage as
    it is goes before it.

    Raises:
        UsageError: An unknown name, or one that is there twice, or nothing to compare.
    """
    used = {part for name in names for part in name.split("+")}
    asked = [*names, *(name for name in settings if name not in used)]
    if (len(asked) == 1 and len(models) < 2 and asked != [CURRENT]) or (not names and settings):
        asked.insert(0, CURRENT)
    found = [Variant(name, _changes(loaded, stage, name, settings)) for name in asked]
    if models:
        found = found or [Variant(CURRENT)]
        found = [_by(variant, model) for variant in found for model in models]
    if len(found) < 2:
        fix = f"name two with {KEY} A,B, a setting with {SETTING} 'NAME=KEY=VALUE', or --models A,B"
        raise UsageError("there is nothing to compare the stage with", fix=fix, key=KEY)
    twice = {each.name for each in found if sum(each.name == other.name for other in found) > 1}
    if twice:
        raise UsageError(f"'{min(twice)}' is there twice", fix="name each once", key=KEY)
    return tuple(found)


def varied(loaded: LoadedJob, stage: str, variant: Variant, seed: int) -> LoadedJob:
    """The job with one stage set as the variant says, without exports, and checked.

    Raises:
        UsageError: The stage cannot be set so, or its prompt needs a column that the rows lack.
    """
    data = loaded.job.as_data()
    data |= {"exports": [], "seed": seed}
    target = next(each for each in data["stages"] if each["name"] == stage)
    try:
        for key, value in variant.changes.items():
            _check_key(key)
            apply_override(target, f"{key}={json.dumps(value)}")
        made = LoadedJob(build_job(data), loaded.document, loaded.folder)
        made.check()
    except TextmillError as exc:
        if not variant.changes:
            raise
        problem = f"variant '{variant.name}': {exc.problem.removeprefix('--set ')}"
        key = re.sub(r"^(--set )?stages\.\d+\.?", "", exc.key)
        in_prompt = exc.file is not None and exc.file != loaded.document.file
        file, line = (exc.file, exc.line) if in_prompt else (None, None)
        raise UsageError(problem, fix=exc.fix, file=file, line=line, key=key) from exc
    return made


def view(made: LoadedJob, stage: str, variant: Variant) -> VariantView:
    """What is shown of a variant."""
    part = next(each for each in made.job.stages if each.name == stage)
    model = getattr(part, "model", "")
    name = prompt_of(part)
    known = VariantView(variant.name, model=model, settings=dict(variant.changes))
    if not name:
        return known
    prompt = made.prompt(name)
    return replace(known, prompt=prompt.label, source=prompt.source)


def prompt_of(stage: Stage) -> str:
    """The name of the one prompt that a stage asks a model with; empty for any other number.

    `copying` and `heuristics` name the prompt of another stage, whose examples they look at.
    """
    own = getattr(stage, "prompt", "") if isinstance(stage, ModelStage) else ""
    if isinstance(own, tuple) and len(own) == 1:
        own = own[0]
    return own if isinstance(own, str) else ""


def beside(prompt: str, variant: str) -> str:
    """The name of another variant of a prompt: of `./ask.yaml` and `@short`, `./ask@short.yaml`."""
    found = re.fullmatch(r"(.*?)(@[^/]*?)?(\.ya?ml)?", prompt, re.DOTALL)
    assert found is not None
    return f"{found[1]}{variant}{found[3] or ''}"


def _by(variant: Variant, model: str) -> Variant:
    name = model if variant.name == CURRENT else f"{variant.name}+{model}"
    return Variant(name, {**variant.changes, "model": model})


def _changes(loaded: LoadedJob, stage: Stage, name: str, settings: Settings) -> dict[str, JSON]:
    changes: dict[str, JSON] = {}
    for part in name.split("+"):
        if part in settings:
            changes |= settings[part]
        elif part in loaded.job.models and part not in loaded.job.prompts:
            changes["model"] = part
        elif part != CURRENT:
            changes["prompt"] = _prompt(loaded, stage, part, settings)
    return changes


def _prompt(loaded: LoadedJob, stage: Stage, part: str, settings: Settings) -> str:
    """The prompt that a part of a variant's name means."""
    own = prompt_of(stage)
    if not own:
        fix = f"name settings of the stage: {SETTING} 'NAME=KEY=VALUE'"
        raise UsageError(f"stage '{stage.name}' has no prompt that '{part}' can replace", fix=fix)
    name = beside(own, part) if part.startswith("@") else part
    try:
        loaded.prompt(name, key=KEY)
    except UsageError as exc:
        if not exc.problem.startswith("unknown prompt") or exc.file is not None:
            raise
        known = [
            *settings,
            *loaded.job.models,
            *loaded.job.prompts,
            *library_names(),
        ]
        guess = nearest(name, known)
        fix = f"write '{guess}'" if guess else "see: textmill prompts list"
        raise UsageError(f"unknown variant '{part}'", fix=fix, key=KEY) from exc
    return name


def _check_key(key: str) -> None:
    if key.split(".")[0] in _FIXED:
        fix = "vary another key of the stage"
        raise UsageError("is the same for all variants", fix=fix, key=key)
