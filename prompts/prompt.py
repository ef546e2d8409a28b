"""A prompt: one YAML file becomes a `Prompt`, which turns a row's columns into a chat.

messages:
  - {role: system, content: You write exam questions.}
  - {role: user, content: "Ask about this passage: {{ context }}"}
variables: {context: The passage.}
examples: [{values: {context: Tea is hot.}, reply: What is hot?}]

prompt.render({"context": "Rain is wet."})
# [("system", "You write exam questions."),
#  ("user", "Ask about this passage: Tea is hot."), ("assistant", "What is hot?"),
#  ("user", "Ask about this passage: Rain is wet.")]

load_prompt("qa/question")                    prompts/library/qa/question.yaml
load_prompt("qa/question@short")              prompts/library/qa/question@short.yaml, a variant
load_prompt("./mine.yaml", folder=folder)     mine.yaml in that folder, else in the current one
load_prompt("mine", inline={"mine": "..."})   a YAML text that a run folder has kept
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from prompts.code_syntax import blocks_of, syntax_fault
from prompts.errors import UsageError, nearest, unknown
from prompts.file_format import Example, Output, PromptFile, PromptMessage, Role
from prompts.registry import validate
from prompts.strict_yaml import Document, read_yaml, read_yaml_file
from prompts.template import Template, TemplateFault, check_plain

__all__ = ["Example", "Output", "Prompt", "PromptMessage", "Role", "list_prompts", "load_prompt"]

# Words of Jinja, and two ("self", "stop") that LangChain's templates keep for themselves.
RESERVED = {
    "and", "else", "false", "False", "if", "in", "is", "loop", "none", "None", "not", "or", "self",
    "stop", "true", "True",
}  # fmt: skip
LIBRARY = Path(__file__).parent / "library"
_NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)+(@[a-z0-9_-]+)?")


class Prompt(PromptFile):
    """A prompt file that has been read, checked and compiled.

    Attributes:
        name: The name it was asked for by: `qa/question`, `qa/question@short`, `./mine.yaml`.
        source: The exact text of the file; what a run folder keeps of it.
    """

    name: str
    source: str

    _templates: tuple[Template, ...] = PrivateAttr(default=())
    _examples: tuple[tuple[Role, str], ...] = PrivateAttr(default=())
    _used: frozenset[str] = PrivateAttr(default=frozenset())
    _sha: str = PrivateAttr(default="")

    @classmethod
    def parse(cls, name: str, source: str | bytes, *, file: str = "") -> "Prompt":
        """The prompt that a YAML text describes; `file` is the name shown in errors.

        Raises:
            UsageError: With file, line and key.
        """
        return cls.from_document(name, read_yaml(source, file=file or name))

    @classmethod
    def from_document(cls, name: str, document: Document) -> "Prompt":
        """The prompt that a YAML document describes.

        Raises:
            UsageError: With file, line and key.
        """
        data = document.mapping("a prompt")
        try:
            read = validate(PromptFile, data)
            return cls(name=name, source=document.text, **dict(read))
        except UsageError as exc:
            # The line of an error in a template is the template's own.
            line = document.line(exc.key)
            if exc.line:
                line = document.line_within(exc.key, exc.line)
            raise UsageError(
                exc.problem, fix=exc.fix, file=document.file, line=line, key=exc.key
            ) from exc

    def model_post_init(self, _context: Any) -> None:
        """Check the whole, compile the templates and render the examples.

        Raises:
            UsageError: With the key, and in a template with the template's own line.
        """
        _check_roles(self.messages)
        _check_names(self.variables)
        self._templates = tuple(_compile(self, index) for index in range(len(self.messages)))
        self._used = frozenset(name for each in self._templates for name in each.variables)
        turns = (_example(self, index) for index in range(len(self.examples)))
        self._examples = tuple(turn for pair in turns for turn in pair)
        for index, test in enumerate(self.tests):
            test.check(f"tests.{index}", self.variables, self._used)
        self._sha = hashlib.sha256(self.source.encode()).hexdigest()[:12]

    @property
    def sha(self) -> str:
        """The first 12 hex digits of the source's SHA-256."""
        return self._sha

    @property
    def label(self) -> str:
        """Name and content: `qa/question@1f0c9e0b7a52`."""
        return f"{self.name}@{self.sha}"

    def variables_used(self) -> frozenset[str]:
        """The variables that some message uses."""
        return self._used

    def variables_asked(self) -> frozenset[str]:
        """The variables of the last message: those that an example has values for."""
        return frozenset(self._templates[-1].variables)

    def with_examples(self, examples: Sequence[Example]) -> "Prompt":
        """The same prompt with other worked examples; name, source and label stay as they are.

        Raises:
            UsageError: A value is missing or strange, or a reply is not of the output's form.
        """
        changed = self.model_copy(update={"examples": tuple(examples)})
        turns = (_example(changed, index) for index in range(len(examples)))
        changed._examples = tuple(turn for pair in turns for turn in pair)
        return changed

    def warnings(self) -> list[str]:
        """What is odd about it and does no harm: variables that no message uses."""
        return [
            f"prompt {self.name}: variable '{name}' is declared and not used"
            for name in self.variables
            if name not in self._used
        ]

    def render(self, values: Mapping[str, Any]) -> list[tuple[Role, str]]:
        """The chat for `values`, as (role, content); examples stand before the last message.

        Values that are not declared are left alone, so a whole row may be given. Outer whitespace
        of a message is removed. Everything that can be wrong with the prompt itself was found when
        it was loaded: what is raised here is about these values.

        Raises:
            UsageError: A variable has no value, a value is not plain data or null where it is
                printed, a message comes out empty or longer than 1,000,000 characters.
        """
        used = self._used
        known = {name: values[name] for name in used if name in values}
        if len(known) < len(used):
            lacking = min(used.difference(known))
            available = ", ".join(sorted(values)) or "none"
            problem = f"prompt {self.name}: no value for '{lacking}'"
            raise UsageError(problem, fix=f"available: {available}", key=lacking)
        try:
            check_plain(known)
        except TemplateFault as exc:
            raise UsageError(f"prompt {self.name}: {exc.problem}", fix=exc.fix) from exc
        chat = [self._turn(index, known) for index in range(len(self.messages))]
        return [*chat[:-1], *self._examples, chat[-1]]

    def _turn(self, index: int, values: Mapping[str, Any]) -> tuple[Role, str]:
        key = f"messages.{index}.content"
        try:
            text = self._templates[index].render(values).strip()
        except TemplateFault as exc:
            problem = f"prompt {self.name}: {exc.problem}"
            raise UsageError(problem, fix=exc.fix, key=key) from exc
        if not text:
            problem = f"prompt {self.name}: the message is empty"
            raise UsageError(problem, fix="give values that are not empty", key=key)
        return self.messages[index].role, text


def _check_roles(messages: tuple[PromptMessage, ...]) -> None:
    """Hold to the order that every chat template knows: (system,) user, (assistant, user ...)."""
    if not messages:
        raise UsageError("no messages", fix="add a message with role: user", key="messages")
    start = 1 if messages[0].role == "system" else 0
    for index, message in enumerate(messages):
        wanted = "user" if (index - start) % 2 == 0 else "assistant"
        if index >= start and message.role != wanted:
            fix = f"make it '{wanted}': a chat is one system message or none, then user and "
            fix += "assistant in turn"
            problem = f"role '{message.role}'"
            raise UsageError(problem, fix=fix, key=f"messages.{index}.role")
    if messages[-1].role != "user":
        key = f"messages.{len(messages) - 1}.role"
        raise UsageError("the last message is not the user's", fix="end with role: user", key=key)


def _check_names(variables: Mapping[str, str]) -> None:
    for name in variables:
        if name in RESERVED:
            raise UsageError(f"'{name}' is a reserved word", fix="rename", key=f"variables.{name}")
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
            fix = "use letters, digits and underscores, a letter first"
            problem = f"'{name}' cannot name a variable"
            raise UsageError(problem, fix=fix, key=f"variables.{name}")


def _compile(prompt: Prompt, index: int) -> Template:
    key = f"messages.{index}.content"
    try:
        template = Template(prompt.messages[index].content)
    except TemplateFault as exc:
        raise UsageError(exc.problem, fix=exc.fix, line=exc.line, key=key) from exc
    for name, line in template.variables.items():
        if name not in prompt.variables:
            declared = list(prompt.variables)
            guess = nearest(name, declared)
            fix = f"write '{guess}'" if guess else f"add '{name}: ...' under 'variables'"
            fix += f" (declared: {', '.join(declared) or 'none'})"
            raise UsageError(f"undefined variable '{name}'", fix=fix, line=line, key=key)
    return template


def _example(prompt: Prompt, index: int) -> tuple[tuple[Role, str], tuple[Role, str]]:
    """The example as the two turns that show it."""
    example = prompt.examples[index]
    key = f"examples.{index}"
    for name in example.values:
        if name not in prompt.variables:
            error = unknown("variable", name, list(prompt.variables))
            raise UsageError(error.problem, fix=error.fix, key=f"{key}.values.{name}")
    template = prompt._templates[-1]
    for name in template.variables:
        if name not in example.values:
            problem = f"the example has no value for '{name}'"
            raise UsageError(problem, fix=f"add '{name}: ...'", key=f"{key}.values")
    try:
        check_plain(example.values)
        text = template.render(example.values).strip()
    except TemplateFault as exc:
        raise UsageError(exc.problem, fix=exc.fix, key=f"{key}.values") from exc
    _check_reply(prompt.output, example.reply, f"{key}.reply")
    return ("user", text), ("assistant", example.reply.strip())


def _check_reply(output: Output, reply: str, key: str) -> None:
    """An example has to show what will be accepted."""
    if output.form != "json":
        fault = _text_fault(output, reply.strip())
        if fault:
            raise UsageError(f"the reply {fault}", fix="write one that fits 'output'", key=key)
        return
    try:
        fault = output.fault(json.loads(reply))
    except ValueError as exc:
        raise UsageError("the reply is not JSON", fix="the output's form is json", key=key) from exc
    if fault:
        problem = f"the reply does not match the schema: {fault}"
        raise UsageError(problem, fix="write one that fits 'output'", key=key)


def _text_fault(output: Output, reply: str) -> str:
    if output.form == "choice" and reply not in output.choices:
        return "is none of the choices"
    if output.form == "regex" and not output.matches(reply):
        return "does not match the pattern"
    if output.language is None:
        return ""
    blocks = blocks_of(reply)
    if len(blocks) > 1:
        return "has several fenced blocks"
    fault = syntax_fault(output.language, blocks[0])
    return f"is no {output.language}: {fault}" if fault else ""


def load_prompt(
    name: str, *, inline: Mapping[str, str] | None = None, folder: Path | None = None
) -> Prompt:
    """The prompt of that name: from `inline`, else a file for a path, else from the library.

    Args:
        name: `task/name`, `task/name@variant`, a path that ends with `.yaml`, or a key of `inline`.
        inline: Prompts by name, as YAML text.
        folder: Where paths start, and which they may not leave; the current folder comes second.

    Raises:
        UsageError: There is no such prompt (the nearest is named), the path leads outside, or the
            prompt has a fault.
    """
    if inline is not None and name in inline:
        return Prompt.parse(name, inline[name])
    if name.endswith((".yaml", ".yml")) or name.startswith((".", "/")):
        path = _contained(name, folder)
        return Prompt.from_document(name, read_yaml_file(path, shown=name))
    path = LIBRARY / f"{name}.yaml"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise unknown("prompt", name, [*(inline or {}), *library_names()])
    return Prompt.from_document(name, read_yaml_file(path, shown=_shown(path)))


def is_library_name(name: str) -> bool:
    """Whether a prompt of the library could be called so."""
    return _NAME.fullmatch(name) is not None


def list_prompts() -> list[Prompt]:
    """Every prompt of the library, by name."""
    return [load_prompt(name) for name in library_names()]


def library_names() -> list[str]:
    """The names of the library's prompts, sorted."""
    files = LIBRARY.rglob("*.yaml")
    return sorted(file.relative_to(LIBRARY).with_suffix("").as_posix() for file in files)


def _shown(path: Path) -> str:
    """The path as one writes it in a checkout, not where this machine has it."""
    return path.relative_to(LIBRARY.parent.parent).as_posix()


def _contained(name: str, folder: Path | None) -> Path:
    """The real path of a prompt file, links followed, inside `folder` or the current folder."""
    roots = [folder.resolve()] if folder else []
    roots.append(Path.cwd())
    inside, outside = [], False
    for root in roots:
        try:
            path = (root / name).resolve()
        except (OSError, RuntimeError, ValueError) as exc:  # a loop of links, or a NUL
            problem = f"prompt '{name}' is not a path that can be read"
            raise UsageError(problem, fix="give the path of a prompt file") from exc
        if any(path.is_relative_to(allowed) for allowed in roots):
            inside.append(path)
        else:
            outside = True
    existing = [path for path in inside if path.exists()]
    if existing:
        return existing[0]
    if outside:
        problem = f"prompt '{name}' lies outside the job's folder and the current one"
        raise UsageError(problem, fix="copy it into the job's folder")
    raise UsageError(f"prompt '{name}': no such file", fix="check the path")
