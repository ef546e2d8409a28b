"""Making a variant what its prompt says, and keeping what it said before.

promote_prompt("qa/question@flat", "@before")
# qa/question.yaml has the text of qa/question@flat.yaml, qa/question@before.yaml its old one

Runs and resolved jobs hold the text of their prompts, so none that has begun is changed by it.
"""

from pathlib import Path

from pipelines.console import show
from pipelines.files import write_atomically
from pipelines.lab.prompt_files import new_path, path_of
from pipelines.lab.variants import beside
from prompts.errors import UsageError
from prompts.prompt import Prompt, load_prompt


def promote_prompt(name: str, keep: str) -> None:
    """Write a variant over the prompt that it is one of; the variant's own file stays.

    Args:
        name: The variant.
        keep: The variant, such as `@before`, that the prompt's old text is kept as.

    Raises:
        UsageError: It is no variant, does not fit where the prompt is used, says the same, or
            there is a prompt to be kept under that name already.
    """
    base = beside(name, "")
    if base == name:
        fix = f"name one of its variants, such as {beside(name, '@short')}"
        raise UsageError(f"'{name}' is not a variant", fix=fix)
    if not keep.startswith("@") or "/" in keep:
        raise UsageError(f"'{keep}' is no variant", fix="write --keep @before", key="--keep")
    variant, old = load_prompt(name), load_prompt(base)
    _check_fits(variant, old)
    kept = beside(base, keep)
    target = _free(kept)
    write_atomically(target, old.source)
    write_atomically(path_of(base), variant.source)
    show(f"{base} says what {name} says; what it said before is {kept}")


def _check_fits(variant: Prompt, old: Prompt) -> None:
    """Refuse a variant that what uses the prompt could not use in its place."""
    if variant.source == old.source:
        raise UsageError(f"'{variant.name}' and '{old.name}' say the same", fix="nothing to do")
    new = sorted(set(variant.variables) - set(old.variables))
    if new:
        problem = f"'{variant.name}' needs '{new[0]}', which '{old.name}' has not"
        raise UsageError(problem, fix="name the variant in the job: prompt: " + variant.name)
    if variant.output != old.output:
        problem = f"'{variant.name}' has another output than '{old.name}'"
        raise UsageError(problem, fix="name the variant in the job: prompt: " + variant.name)


def _free(kept: str) -> Path:
    try:
        return new_path(kept)
    except UsageError as exc:
        exc.fix = "keep the old text under another name: --keep @before2"
        raise
