"""What one may write into a prompt file.

messages: [{role: user, content: "Rate this text from 1 to 5: {{ text }}"}]
variables: {text: The text to rate.}
output: {form: json, schema: {type: object, properties: {score: {type: integer}}}}
"""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from prompts.assertions import PromptTest
from prompts.code_syntax import Language, missing_package
from prompts.errors import UsageError

if TYPE_CHECKING:
    from prompts.grammars import Form
    from prompts.schema import ReplySchema

PATTERN_SECONDS = 1.0
FORM_OF_KEY = {"schema": "json", "choices": "choice", "pattern": "regex", "language": "code"}
SHOWN = {key: f"a {key}" for key in FORM_OF_KEY} | {"choices": "a list of choices"}

Role = Literal["system", "user", "assistant"]


class PromptMessage(BaseModel):
    """One message of a prompt; its content is a template (see `prompts.template`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: Annotated[str, Field(min_length=1)]


class Example(BaseModel):
    """A worked example: values for the user message's variables, and the reply one would like."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: dict[str, Any] = Field(default_factory=dict)
    reply: Annotated[str, Field(min_length=1)]


class Output(BaseModel):
    """How a reply is read, and what a local model is held to while it writes one.

    Attributes:
        form: `text` is the reply without outer whitespace, `lines` a list of its lines without list
            marks, `json` one JSON value, `choice` one of `choices`, `regex` a text that `pattern`
            matches, `code` a text that parses.
        json_schema: With form json, the JSON Schema (Draft 2020-12) that the value has to match;
            `schema` in a file.
        choices: With form choice, the texts of which the reply is one.
        pattern: With form regex, what the whole reply has to match.
        language: With form code, of which language.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["text", "lines", "json", "choice", "regex", "code"] = "text"
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    choices: tuple[str, ...] = ()
    pattern: str = ""
    language: Language | None = None

    _checked: "ReplySchema | None" = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _keys_fit_the_form(self) -> "Output":
        keys = {"schema": self.json_schema is not None, "choices": bool(self.choices)}
        keys |= {"pattern": bool(self.pattern), "language": self.language is not None}
        for key, given in keys.items():
            form = FORM_OF_KEY[key]
            if given and form != self.form:
                problem = f"{SHOWN[key]} is for form {form}, not {self.form}"
                raise UsageError(problem, fix=f"write 'form: {form}'", key=f"output.{key}")
            if form == self.form and not given and form != "json":
                problem = f"form {form} needs {SHOWN[key]}"
                raise UsageError(problem, fix=f"add '{key}: ...'", key=f"output.{key}")
        return self

    @model_validator(mode="after")
    def _schema_is_usable(self) -> "Output":
        if self.json_schema is None:
            return self
        from prompts.schema import ReplySchema  # jsonschema takes 50 ms to import

        try:
            self._checked = ReplySchema(self.json_schema)
        except ValueError as exc:
            problem = f"not a JSON Schema: {exc}"
            raise UsageError(problem, fix="mend that keyword", key="output.schema") from exc
        return self

    @model_validator(mode="after")
    def _choices_differ(self) -> "Output":
        for place, choice in enumerate(self.choices):
            key = f"output.choices.{place}"
            if not choice.strip() or choice != choice.strip():
                problem = "a choice is a text without outer white space"
                raise UsageError(problem, fix="remove the space, or the empty choice", key=key)
            if choice in self.choices[:place]:
                raise UsageError(f"'{choice}' is listed twice", fix="drop one", key=key)
        return self

    @model_validator(mode="after")
    def _pattern_is_usable(self) -> "Output":
        if not self.pattern:
            return self
        try:
            empty = regex.fullmatch(self.pattern, "", timeout=PATTERN_SECONDS)
        except (regex.error, TimeoutError) as exc:
            problem = f"not a usable regular expression: {exc}"
            raise UsageError(problem, fix="mend the expression", key="output.pattern") from exc
        if empty:
            fix = "ask for at least one character"
            raise UsageError("the pattern matches an empty reply", fix=fix, key="output.pattern")
        return self

    @model_validator(mode="after")
    def _language_is_known(self) -> "Output":
        missing = missing_package(self.language) if self.language else ""
        if missing:
            problem = f"code in {self.language} needs the package {missing.replace('_', '-')}"
            raise UsageError(problem, fix="pip install 'textmill[code]'", key="output.language")
        return self

    @model_validator(mode="after")
    def _form_can_be_written(self) -> "Output":
        """Found before a run: nothing fits the schema, the engine does not know the pattern."""
        constraint = self.constraint()
        if constraint is None:
            return self
        from prompts.grammars import grammar_of  # the engine takes 40 ms to import

        try:
            grammar_of(*constraint)
        except ValueError as exc:
            key = {"json": "schema", "choice": "choices", "regex": "pattern"}[constraint[0]]
            problem = f"no reply can be held to this: {exc}"
            fix = "allow more, or leave it out"
            raise UsageError(problem, fix=fix, key=f"output.{key}") from exc
        return self

    def constraint(self) -> "tuple[Form, str] | None":
        """What `prompts.grammars.grammar_of` takes; None where any text may be written."""
        if self.form == "json":
            return "json", json.dumps(self.json_schema or {}, ensure_ascii=False)
        if self.form == "choice":
            return "choice", json.dumps(self.choices, ensure_ascii=False)
        return ("regex", self.pattern) if self.form == "regex" else None

    def fault(self, value: Any) -> str:
        """Why `value` does not match the schema; empty if it does or there is none."""
        return "" if self._checked is None else self._checked.fault(value)

    def matches(self, text: str) -> bool:
        """Whether `pattern` matches the whole text; a match that takes too long is none."""
        try:
            return bool(regex.fullmatch(self.pattern, text, timeout=PATTERN_SECONDS))
        except TimeoutError:
            return False


class PromptFile(BaseModel):
    """What one may write into a prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notes: str = ""
    variables: dict[str, str] = Field(default_factory=dict)
    messages: tuple[PromptMessage, ...]
    examples: tuple[Example, ...] = ()
    output: Output = Output()
    tests: tuple[PromptTest, ...] = ()
