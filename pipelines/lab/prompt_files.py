"""Looking at prompt files: a list with variants beside each other, one file, two files, a new one.

qa/answer                4c1f9be01a2d  Answers a question in one sentence ...
qa/question              1f0c9e0b7a52  Asks one question that the passage answers ...
  @short                 77ab01c2d3e4  The same in ten words
"""

import json
from pathlib import Path
from typing import Any

from pipelines.console import plain, say, show, show_json
from pipelines.files import write_atomically
from pipelines.lab.variants import beside
from pipelines.lab.worddiff import marked, pieces
from prompts.errors import TextmillError, UsageError
from prompts.prompt import LIBRARY, Prompt, is_library_name, list_prompts, load_prompt

_STARTER = """\
notes: What it asks for, and of which model.
variables:
  text: What the prompt is about.
messages:
  - role: user
    content: |
      Text: {{ text }}
      Write one sentence about it.
output: {form: text}
tests:
  - name: shows the text
    values: {text: Tea is hot.}
    prompt_contains: Tea is hot.
    max_words: 30
    reply: This text says that tea is hot.
"""


def show_prompts(folder: Path | None, *, as_json: bool) -> None:
    """List the library's prompts, or those of a folder, variants below what they are variants of.

    Raises:
        UsageError: There is no such folder.
    """
    prompts = list_prompts() if folder is None else _drafts(folder)
    if as_json:
        show_json([_record(prompt) for prompt in prompts])
        return
    known = {prompt.name for prompt in prompts}
    below = {name for name in known if _base(name) in known - {name}}
    shown = [(f"  {_variant(p.name)}" if p.name in below else p.name, p) for p in prompts]
    width = max((len(name) for name, _ in shown), default=0)
    for name, prompt in shown:
        notes = " ".join(prompt.notes.split())
        show(f"{name:<{width}}  {prompt.sha}  {notes}".rstrip())


def show_one_prompt(name: str, *, as_json: bool) -> None:
    """Show a prompt's file, or its parts as JSON."""
    prompt = load_prompt(name)
    if as_json:
        show_json({**prompt.model_dump(mode="json"), "sha": prompt.sha})
    else:
        show(f"# {prompt.label}\n{prompt.source.rstrip()}")


def show_difference(before: str, after: str, *, as_json: bool) -> None:
    """Show what differs between two prompts, part by part and word by word.

    Args:
        before: A prompt.
        after: Another, or `@VARIANT` of the first.
        as_json: Show one JSON object.
    """
    old = load_prompt(before)
    new = load_prompt(beside(before, after) if after.startswith("@") else after)
    was, now = _parts(old), _parts(new)
    changed = [name for name in {**was, **now} if was.get(name, "") != now.get(name, "")]
    if as_json:
        parts = {n: [list(p) for p in pieces(was.get(n, ""), now.get(n, ""))] for n in changed}
        show_json({"before": old.label, "after": new.label, "parts": parts})
        return
    show(f"--- {old.label}\n+++ {new.label}")
    for name in changed:
        show(f"\n{name}")
        text = marked(was.get(name, ""), now.get(name, ""))
        show("\n".join(f"    {line}" for line in plain(text).split("\n")))
    if not changed:
        say("they say the same")


def new_prompt(name: str, source: str) -> None:
    """Write a new prompt file: a copy of another, or one to begin with.

    Args:
        name: `task/name`, `task/name@variant` or a path.
        source: The prompt to copy; left out, a variant copies what it is a variant of.

    Raises:
        UsageError: There is such a file already, or the name cannot be one of a prompt.
    """
    path = new_path(name)
    if not source and "@" in path.name:
        source = _base(name)
    text = load_prompt(source).source if source else _STARTER
    Prompt.parse(name, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    show(str(path))


def path_of(name: str) -> Path:
    """Where a prompt of that name is, or would be, whether or not it exists.

    Raises:
        UsageError: It cannot be a prompt's name.
    """
    if is_library_name(name):
        return LIBRARY / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    fix = "write TASK/NAME, TASK/NAME@VARIANT in small letters, or a path that ends with .yaml"
    raise UsageError(f"'{name}' cannot name a prompt", fix=fix)


def new_path(name: str) -> Path:
    """Where a prompt of that name would be, where there is none yet.

    Raises:
        UsageError: It cannot be a prompt's name, or there is one.
    """
    path = path_of(name)
    if path.exists():
        raise UsageError("there is one already", fix="edit it, or give another name", file=path)
    return path


def _drafts(folder: Path) -> list[Prompt]:
    """The prompt files of a folder; what is another YAML file is passed over, a broken one told."""
    if not folder.is_dir():
        raise UsageError("no such folder", fix="name the folder of the prompt files", file=folder)
    found = []
    for file in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            text = file.read_bytes()
            if b"messages:" in text and b"stages:" not in text:
                found.append(Prompt.parse(file.as_posix(), text))
        except TextmillError as exc:
            say(f"warning: {exc}")
    return found


def _record(prompt: Prompt) -> dict[str, Any]:
    record = {"name": prompt.name, "sha": prompt.sha, "variables": sorted(prompt.variables)}
    base = _base(prompt.name)
    return record if base == prompt.name else {**record, "variant_of": base}


def _base(name: str) -> str:
    """The prompt that a variant is one of; the name itself for what is none."""
    return beside(name, "")


def _variant(name: str) -> str:
    return name[name.rindex("@") :].removesuffix(".yaml").removesuffix(".yml")


def _parts(prompt: Prompt) -> dict[str, str]:
    """The texts that a prompt consists of, by name."""
    parts = {"notes": prompt.notes.strip()}
    parts |= {f"variables.{name}": text for name, text in prompt.variables.items()}
    for place, message in enumerate(prompt.messages):
        parts[f"messages.{place} ({message.role})"] = message.content.strip()
    for place, example in enumerate(prompt.examples):
        values = json.dumps(example.values, ensure_ascii=False)
        parts[f"examples.{place}"] = f"{values}\n{example.reply.strip()}"
    output = prompt.output.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    parts["output"] = json.dumps(output, ensure_ascii=False)
    for place, test in enumerate(prompt.tests):
        said = test.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        parts[f"tests.{place}"] = json.dumps(said, ensure_ascii=False)
    return parts
