"""Prompts and parsers as parts of LangChain chains.

prompt = load_prompt("qa/question")
chain = build_chain(prompt, model)                   # template | model | parser
chain.invoke({"context": "The stove burns for 70 minutes."})      # "How long does the stove burn?"
render_chat(prompt, {"context": "..."})        # (Message("system", ...), Message("user", ...))

LangChain's own formatters never see a prompt's text: they put empty text for a missing variable
and follow attributes of the values. The template class here hands over to `Prompt.render`.
"""

from collections.abc import Mapping
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.prompts import BaseChatPromptTemplate
from langchain_core.runnables import Runnable

from chains.calls import Message
from chains.decoding.grammar import guides_for, refuse_conflicts
from chains.parsing import ParseFault, parse_reply
from prompts.prompt import Output, Prompt, Role

_CLASSES: Mapping[Role, type[BaseMessage]] = {
    "system": SystemMessage,
    "user": HumanMessage,
    "assistant": AIMessage,
}
_ROLES: Mapping[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


class PromptTemplate(BaseChatPromptTemplate):
    """A `Prompt` as a LangChain chat prompt template; its input variables are the declared ones."""

    prompt: Prompt

    @property
    def _prompt_type(self) -> str:
        return "textmill"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """No: a prompt is kept as its YAML text."""
        return False

    def format_messages(self, **kwargs: Any) -> list[BaseMessage]:
        """The chat for the variables' values.

        Raises:
            UsageError: As `Prompt.render`.
        """
        values = self._merge_partial_and_user_variables(**kwargs)
        return [_CLASSES[role](content) for role, content in self.prompt.render(values)]

    def pretty_repr(self, html: bool = False) -> str:
        """The prompt's YAML text."""
        return self.prompt.source


class ReplyParser(BaseOutputParser[Any]):
    """`parse_reply` as a LangChain parser."""

    output: Output

    @property
    def _type(self) -> str:
        return "textmill"

    def parse(self, text: str) -> Any:
        """The value of a reply.

        Raises:
            OutputParserException: With the fault's reason and detail.
        """
        parsed = parse_reply(self.output, text)
        if isinstance(parsed, ParseFault):
            raise OutputParserException(f"{parsed.reason}: {parsed.detail}", llm_output=text)
        return parsed.value


def as_template(prompt: Prompt) -> PromptTemplate:
    """`prompt` as a LangChain template, to be composed with `|`."""
    return PromptTemplate(input_variables=list(prompt.variables), prompt=prompt)


def render_chat(prompt: Prompt, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """The chat for `values` as the LangChain template gives it.

    Raises:
        UsageError: As `Prompt.render`.
    """
    # A column called "self" cannot be a keyword argument; no variable may have that name.
    columns = {name: value for name, value in values.items() if name != "self"}
    messages = as_template(prompt).format_messages(**columns)
    return tuple(Message(_ROLES[message.type], str(message.content)) for message in messages)


def build_chain(prompt: Prompt, model: BaseChatModel) -> Runnable[dict[str, Any], Any]:
    """`template | model | parser`: from a dict of the prompt's variables to the parsed reply.

    A model of this package is held to the prompt's output form while it writes, as in a job.

    Raises:
        UsageError: The model's settings and the form both say where a reply ends.
    """
    from chains.models.chat import BatchChatModel

    asked: Runnable[Any, Any] = model
    guides = guides_for(prompt.output)
    if guides and isinstance(model, BatchChatModel):
        refuse_conflicts(prompt.output, model.decoding)
        asked = model.bind(guides=guides)
    return as_template(prompt) | asked | ReplyParser(output=prompt.output)
