"""A variant as the page has it, and how it gets into a job: to be tried, or written to a file.

    draft = read_draft({"name": "B", "prompt": "qa/question@B", "source": "messages: ...",
                        "settings": {"decoding.temperature": 0.5}})
    with_drafts(loaded, [draft])        # the job, with the prompt's text among its own prompts
    draft.changes()                     # {"prompt": "qa/question@B", "decoding.temperature": 0.5}

Seeds depend on the stage's name and not on the draft, so that drafts are compared on equal terms.
"""

import copy
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.files import dump_yaml, write_atomically
from pipelines.job import LoadedJob, build_job, load_job
from pipelines.lab.cells import stage_named
from pipelines.overrides import apply_override
from pipelines.rows import JSON, canonical
from prompts.errors import TextmillError, UsageError
from prompts.prompt import Prompt
from prompts.registry import validate

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.ya?ml")


class Draft(BaseModel):
    """One variant of a stage.

    Attributes:
        name: As the page calls it.
        prompt: Name of the prompt; of one that was edited, a name that the job does not have yet.
        source: The text of the prompt's file; empty for the prompt of that name as it is.
        model: Name of one of the job's models; empty for the stage's own.
        settings: Dotted key of the stage -> value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_ -]{1,40}$")]
    prompt: str = ""
    source: str = ""
    model: str = ""
    settings: dict[str, Any] = {}

    def changes(self) -> dict[str, JSON]:
        """What differs from the job, by dotted key of the stage."""
        own = {"prompt": self.prompt, "model": self.model}
        return {**{key: value for key, value in own.items() if value}, **self.settings}


def read_draft(data: Any) -> Draft:
    """The draft that the page has sent.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(data, Mapping):
        raise UsageError("a variant is an object", fix="send {name: ..., ...}")
    return validate(Draft, dict(data))


def with_drafts(loaded: LoadedJob, drafts: Sequence[Draft]) -> LoadedJob:
    """The job with the drafts' prompts among its own.

    Raises:
        UsageError: A prompt has a fault, with the line of its text.
    """
    for draft in drafts:
        if draft.source:
            Prompt.parse(draft.prompt, draft.source, file=draft.name)
    data = loaded.job.as_data()
    data["prompts"] |= {draft.prompt: draft.source for draft in drafts if draft.source}
    made = LoadedJob(build_job(data), loaded.document, loaded.folder)
    made.check()
    return made


def promote(loaded: LoadedJob, stage: str, draft: Draft, name: str) -> dict[str, JSON]:
    """Write the job with a draft in the place of the stage's settings, beside the job's own file.

    Returns:
        `file` and `diff`, against the job as it is written.

    Raises:
        UsageError: The name is not a file's, the file exists, or the job would not be valid.
    """
    if not _FILE.fullmatch(name):
        fix = "use letters, digits, '-' and '_', and end with .yaml"
        raise UsageError(f"'{name[:100]}' cannot name the file", fix=fix)
    before: dict[str, Any] = copy.deepcopy(loaded.document.mapping("a job"))
    after = copy.deepcopy(before)
    settings = after["stages"][stage_named(loaded, stage)]
    if draft.source:
        after.setdefault("prompts", {})[draft.prompt] = draft.source
    for key, value in draft.changes().items():
        apply_override(settings, f"{key}={canonical(value)}")
    target = loaded.folder / name
    _write_new(target, dump_yaml(after))
    old, new = (dump_yaml(data).splitlines(keepends=True) for data in (before, after))
    own = Path(loaded.document.file).name
    return {"file": str(target), "diff": "".join(difflib.unified_diff(old, new, own, name))}


def _write_new(target: Path, text: str) -> None:
    if target.exists():
        raise UsageError("the file exists", fix="take another name", file=target.name)
    write_atomically(target, text)
    try:
        load_job(target).check()
    except TextmillError:
        target.unlink()
        raise
