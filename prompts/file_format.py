"""What one may write into a prompt file.

messages: [{role: user, content: "Rate this text from 1 to 5: {{ text }}"}]
variables: {text: The text to rate.}
output: {form: json, schema: {type: object, properties: {score: {type: integer}}}}
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from prompts.errors import UsageError

if TYPE_CHECKING:
    from prompts.schema import ReplySchema

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
    """How a reply is read.

    Attributes:
        form: `text` is the reply without outer whitespace, `lines` a list of its lines without list
            marks, `json` one JSON value.
        json_schema: With form json, the JSON Schema (Draft 2020-12) that the value has to match;
            `schema` in a file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["text", "lines", "json"] = "text"
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")

    _checked: "ReplySchema | None" = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _schema_is_usable(self) -> "Output":
        if self.json_schema is None:
            return self
        if self.form != "json":
            problem = f"a schema is for form json, not {self.form}"
            raise UsageError(problem, fix="write 'form: json'", key="output.schema")
        from prompts.schema import ReplySchema  # jsonschema takes 50 ms to import

        try:
            self._checked = ReplySchema(self.json_schema)
        except ValueError as exc:
            raise UsageError(f"not a JSON Schema: {exc}", key="output.schema") from exc
        return self

    def fault(self, value: Any) -> str:
        """Why `value` does not match the schema; empty if it does or there is none."""
        return "" if self._checked is None else self._checked.fault(value)


class PromptFile(BaseModel):
    """What one may write into a prompt file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notes: str = ""
    variables: dict[str, str] = Field(default_factory=dict)
    messages: tuple[PromptMessage, ...]
    examples: tuple[Example, ...] = ()
    output: Output = Output()
