"""What a prompt file asserts of itself: sample values, and what prompt and reply have to be like.

tests:
  - name: asks about the geese
    values: {context: Twelve geese guard the orchard.}
    prompt_contains: Twelve geese
    contains: [geese, "?"]
    max_words: 12
    reply: How many geese guard the orchard?

The reply of a test stands in for a model's where none is asked.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import regex
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from prompts.errors import UsageError, shorten, unknown

if TYPE_CHECKING:
    from prompts.schema import ReplySchema

PATTERN_SECONDS = 1.0
_SHOWN = 60  # characters of a text that a finding quotes

Words = Callable[[str], int]


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_many)]


class PromptTest(BaseModel):
    """One test of a prompt.

    Attributes:
        name: What it shows; left out, its number.
        values: A value for every variable that the messages use.
        prompt_contains: Texts that the rendered messages have to hold.
        prompt_excludes: Texts that they must not hold.
        max_prompt_tokens: Their greatest length: tokens of the model, words and marks without one.
        contains: Texts that the reply has to hold.
        excludes: Texts that it must not hold.
        equals: What the reply has to be.
        regex: What has to be found in it.
        min_words: Its least number of words.
        max_words: Its greatest number of words.
        json_schema: What its value has to match; `schema` in a file.
        reply: A reply to try this on where no model is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    values: dict[str, Any] = Field(default_factory=dict)
    prompt_contains: Texts = ()
    prompt_excludes: Texts = ()
    max_prompt_tokens: Annotated[int, Field(ge=1)] | None = None
    contains: Texts = ()
    excludes: Texts = ()
    equals: str | None = None
    regex: str = ""
    min_words: Annotated[int, Field(ge=0)] | None = None
    max_words: Annotated[int, Field(ge=0)] | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    reply: str = ""

    _schema: "ReplySchema | None" = PrivateAttr(default=None)

    @property
    def asserts_reply(self) -> bool:
        """Whether it says anything of the reply."""
        bounds = (self.equals, self.min_words, self.max_words, self.json_schema)
        return bool(self.contains or self.excludes or self.regex) or any(
            bound is not None for bound in bounds
        )

    def check(self, key: str, variables: Mapping[str, str], used: frozenset[str]) -> None:
        """Its values are those of the prompt's variables, and what it asserts can be checked.

        Raises:
            UsageError: With a key that begins with `key`.
        """
        for name in self.values:
            if name not in variables:
                raise unknown("variable", name, list(variables), key=f"{key}.values.{name}")
        missing = sorted(used - self.values.keys())
        if missing:
            problem = f"the test has no value for '{missing[0]}'"
            raise UsageError(problem, fix=f"add '{missing[0]}: ...'", key=f"{key}.values")
        low, high = self.min_words, self.max_words
        if low is not None and high is not None and low > high:
            problem = f"no text has {low} to {high} words"
            raise UsageError(problem, fix="raise it above min_words", key=f"{key}.max_words")
        try:
            regex.compile(self.regex)
        except regex.error as exc:
            problem = f"not a usable regular expression: {exc}"
            raise UsageError(problem, fix="mend the expression", key=f"{key}.regex") from exc
        self._read_schema(f"{key}.schema")

    def _read_schema(self, key: str) -> None:
        if self.json_schema is None:
            return
        from prompts.schema import ReplySchema  # jsonschema takes 50 ms to import

        try:
            self._schema = ReplySchema(self.json_schema)
        except ValueError as exc:
            raise UsageError(f"not a JSON Schema: {exc}", fix="mend that keyword", key=key) from exc

    def prompt_faults(self, chat: Sequence[tuple[str, str]], tokens: int) -> Iterator[str]:
        """What is wrong with the rendered messages."""
        whole = "\n".join(content for _, content in chat)
        yield from _held(whole, self.prompt_contains, self.prompt_excludes, "prompt_")
        if self.max_prompt_tokens is not None and tokens > self.max_prompt_tokens:
            yield f"max_prompt_tokens: {tokens} of {self.max_prompt_tokens}"

    def reply_faults(self, reply: str, value: Any, words: Words) -> Iterator[str]:
        """What is wrong with a reply.

        Args:
            reply: Its text.
            value: What the prompt's output form makes of it.
            words: Counts the words of a text.
        """
        yield from _held(reply, self.contains, self.excludes, "")
        if self.equals is not None and reply.strip() != self.equals.strip():
            yield f"equals: not {_quoted(self.equals)}"
        if self.regex and not self._found(reply):
            yield f"regex: {_quoted(self.regex)} is not found"
        count = words(reply)
        if self.min_words is not None and count < self.min_words:
            yield f"min_words: {count}, at least {self.min_words}"
        if self.max_words is not None and count > self.max_words:
            yield f"max_words: {count}, at most {self.max_words}"
        if self._schema is not None:
            yield from self._schema_faults(reply, value)

    def _found(self, reply: str) -> bool:
        try:
            return bool(regex.search(self.regex, reply, timeout=PATTERN_SECONDS))
        except TimeoutError:
            return False

    def _schema_faults(self, reply: str, value: Any) -> Iterator[str]:
        assert self._schema is not None
        if isinstance(value, str):  # the form is not json
            try:
                value = json.loads(reply)
            except ValueError:
                yield "schema: not JSON"
                return
        if fault := self._schema.fault(value):
            yield f"schema: {fault}"


def _held(text: str, wanted: Sequence[str], banned: Sequence[str], prefix: str) -> Iterator[str]:
    yield from (f"{prefix}contains: no {_quoted(part)}" for part in wanted if part not in text)
    yield from (f"{prefix}excludes: {_quoted(part)}" for part in banned if part in text)


def _quoted(text: str) -> str:
    return json.dumps(shorten(text, _SHOWN), ensure_ascii=False)
