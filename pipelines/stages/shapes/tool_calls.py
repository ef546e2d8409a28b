"""`tool_calls`: checks calls of tools against the tools' schemas, and makes conversations of them.

    - kind: tool_calls
      tools: [{name: get_weather, description: The weather in a city., parameters: {type: object,
               properties: {city: {type: string}}, required: [city]}}]

    {"request": "Is it raining in Oslo?", "calls": {"name": "get_weather", "arguments":
     {"city": "Oslo"}}}
    ->  {..., "messages": [{"role": "user", "content": "Is it raining in Oslo?"},
         {"role": "assistant", "content": "", "tool_calls": [{"id": "call_...", "type": "function",
          "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}]}], "tools": [...]}

The calls stand in a column, or a model writes them, held to the tools' schemas. With `grounded`
every value of the arguments has to stand in the request: a call that nobody asked for is invented.
"""

import json
import re
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chains.calls import Call
from chains.decoding import AnyDecoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from chains.parsing import ParseFault, parse_reply
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row, digest
from pipelines.stages.augment.base import reply_fault
from pipelines.stages.base import STAGES, Context, JobView, ModelStage, Work
from pipelines.stages.columns import read_text, strings
from pipelines.stages.shapes.asking import ask_once
from prompts.errors import UsageError
from prompts.file_format import Output

MAX_CALLS = 8
_SHOWN = 200


class Tool(BaseModel):
    """What may be called: a function as chat templates and OpenAI's API describe it.

    Attributes:
        name: Letters, digits, `_` and `-`.
        description: What it does, for the model.
        parameters: A JSON Schema of its arguments, an object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}

    def as_json(self) -> dict[str, JSON]:
        """The tool as a chat template takes it."""
        return {"type": "function", "function": self.model_dump(mode="json")}


@STAGES.register
class ToolCalls(ModelStage):
    """Check or write calls of tools.

    Attributes:
        tools: What may be called.
        request: The column with what the user asks for.
        calls: The column with the calls: `{name, arguments}`, a list of these, or their JSON.
        model: Where it is named, this model writes the calls.
        prompt: Its prompt, with the variables `request` and `tools`, which is their JSON.
        decoding: How it writes.
        attempts: How often it may be asked.
        max_calls: The most calls of a request.
        grounded: Whether texts and numbers of the arguments have to stand in the request.
        adds: The column for the conversation; `tools` is added too.
    """

    kind: Literal["tool_calls"] = "tool_calls"
    tools: Annotated[tuple[Tool, ...], Field(min_length=1)]
    request: Annotated[str, Field(min_length=1)] = "request"
    calls: Annotated[str, Field(min_length=1)] = "calls"
    model: str = ""
    prompt: str = "tool/call"
    decoding: AnyDecoding = Sample(temperature=0.3, max_tokens=200)
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    max_calls: Annotated[int, Field(ge=1, le=MAX_CALLS)] = 1
    grounded: bool = True
    adds: Annotated[str, Field(min_length=1)] = "messages"

    def model_post_init(self, _context: object) -> None:
        """Check the schemas.

        Raises:
            UsageError: A schema is none, or two tools have one name.
        """
        names = [tool.name for tool in self.tools]
        for place, tool in enumerate(self.tools):
            if tool.name in names[:place]:
                fix = "give it another name"
                raise UsageError(f"two tools '{tool.name}'", fix=fix, key=f"tools.{place}.name")
            key = f"tools.{place}.parameters"
            if tool.parameters.get("type") != "object":
                fix = "write 'type: object' and the arguments under 'properties'"
                raise UsageError("arguments are an object", fix=fix, key=key)
            try:
                _output(json.dumps(_call_schema(tool)))
            except UsageError as exc:
                raise UsageError(exc.problem, fix=exc.fix, key=key) from exc

    def output(self) -> Output:
        """The form that a model's reply is held to."""
        return _output(json.dumps(_calls_schema(self.tools, self.max_calls)))

    def default_name(self) -> str:
        """The kind."""
        return self.kind

    def columns_needed(self) -> set[str]:
        """The request, and the calls where no model writes them."""
        return {self.request} if self.model else {self.request, self.calls}

    def columns_added(self) -> set[str]:
        """The conversation, the tools, and the calls where a model writes them."""
        return {self.adds, "tools", *([self.calls] if self.model else [])}

    def check(self, job: JobView) -> None:
        """The model and its prompt exist."""
        if not self.model:
            return
        job.model(self.model, key="model")
        prompt = job.prompt(self.prompt, key="prompt")
        refuse_conflicts(self.output(), self.decoding)
        job.need(set(prompt.variables_used()) - {"request", "tools"}, key="prompt")

    def work(self, row: Row, context: Context) -> Work:
        """The row with its conversation, or a rejection."""
        request = read_text(row, self.request)
        if isinstance(request, Fault):
            return [Rejection(row, request.reason, request.detail)]
        if not self.model:
            found = self.read(row.data.get(self.calls))
            return [self._settled(row, request.strip(), found, {"stage": self.name})]
        outcome: Outcome = Rejection(row, "no_reply")
        for attempt in range(1 if self.decoding.deterministic else self.attempts):
            seed = context.seed(row, attempt)
            call = Call(self._chat(row, request, context), self.decoding, seed,
                        guides_for(self.output()))  # fmt: skip
            reply = yield from ask_once(self.model, call)
            event = {
                "stage": self.name,
                "prompt": context.prompt(self.prompt).label,
                "model": context.model_label(self.model),
                "seed": seed,
                "attempt": attempt,
            }
            found = reply_fault(reply, self.decoding.max_tokens) or self.read(reply.text)
            outcome = self._settled(row, request.strip(), found, event)
            if isinstance(outcome, Row) or outcome.reason == "context_overflow":
                break
        return [outcome]

    def _chat(self, row: Row, request: str, context: Context) -> Any:
        prompt = context.prompt(self.prompt)
        given: dict[str, JSON] = {
            "request": request.strip(),
            "tools": json.dumps([tool.model_dump(mode="json") for tool in self.tools]),
        }
        used = prompt.variables_used()
        return context.chat(prompt, {name: given.get(name, row.data.get(name)) for name in used})

    def read(self, value: JSON) -> list[dict[str, JSON]] | Fault:
        """The calls in a value, checked against the tools."""
        if isinstance(value, str):
            parsed = parse_reply(Output(form="json"), value)
            if isinstance(parsed, ParseFault):
                return Fault(parsed.reason, {"found": parsed.detail})
            value = parsed.value
        calls = value if isinstance(value, list) else [value]
        if not calls or len(calls) > self.max_calls:
            return Fault("call_count", {"calls": len(calls), "max": self.max_calls})
        for call in calls:
            if (fault := self._fault(call)) is not None:
                return fault
        return calls

    def _fault(self, call: JSON) -> Fault | None:
        if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
            return Fault("bad_call", {"found": repr(call)[:_SHOWN]})
        tool = next((tool for tool in self.tools if tool.name == call["name"]), None)
        if tool is None:
            known = [tool.name for tool in self.tools]
            return Fault("unknown_tool", {"name": str(call["name"])[:_SHOWN], "known": known})
        if fault := _output(json.dumps(tool.parameters)).fault(call["arguments"]):
            return Fault("bad_arguments", {"name": tool.name, "found": fault})
        return None

    def _settled(
        self, row: Row, request: str, found: list[dict[str, JSON]] | Fault, event: dict[str, JSON]
    ) -> Outcome:
        if isinstance(found, Fault):
            return Rejection(row.with_data({}, event), found.reason, found.detail)
        if self.grounded:
            absent = [v for call in found for v in ungrounded(call["arguments"], request)]
            if absent:
                refused = row.with_data({self.calls: found}, event)
                return Rejection(refused, "ungrounded_argument", {"values": list(absent)})
        columns: dict[str, JSON] = {
            self.adds: [
                {"role": "user", "content": request},
                {"role": "assistant", "content": "", "tool_calls": _written(row, found)},
            ],
            "tools": [tool.as_json() for tool in self.tools],
        }
        if self.model:
            columns[self.calls] = found
        return row.with_data(columns, event)


@lru_cache(maxsize=1024)
def _output(schema: str) -> Output:
    return Output(form="json", schema=json.loads(schema))


def ungrounded(arguments: JSON, request: str) -> list[str]:
    """The texts and numbers of the arguments that the request does not have, in any casing."""
    lower = request.casefold()
    return [
        text
        for text in strings(arguments)
        if not re.search(rf"(?<!\w){re.escape(text.casefold())}(?!\w)", lower)
    ]


def _written(row: Row, calls: list[dict[str, JSON]]) -> list[JSON]:
    return [
        {
            "id": f"call_{digest(row.id, place)[:12]}",
            "type": "function",
            "function": {
                "name": call["name"],
                "arguments": json.dumps(call["arguments"], ensure_ascii=False),
            },
        }
        for place, call in enumerate(calls)
    ]


def _call_schema(tool: Tool) -> dict[str, JSON]:
    properties = {"name": {"const": tool.name}, "arguments": tool.parameters}
    return {"type": "object", "properties": properties, "required": ["name", "arguments"],
            "additionalProperties": False}  # fmt: skip


def _calls_schema(tools: tuple[Tool, ...], most: int) -> dict[str, JSON]:
    """One call, or a list of one to `most`."""
    schemas = [_call_schema(tool) for tool in tools]
    one = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return one if most == 1 else {"type": "array", "items": one, "minItems": 1, "maxItems": most}
