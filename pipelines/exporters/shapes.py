"""From the parts of a format to its record: the shapes that are more than the parts themselves.

sharegpt({"prompt": "When?", "completion": "At noon."})
->  {"conversations": [{"from": "human", "value": "When?"}, {"from": "gpt", ...}]}
"""

from collections.abc import Callable

from pipelines.exporters.parts import as_turns
from pipelines.rows import JSON

Record = dict[str, JSON]

_ROLE_OF = {"system": "system", "prompt": "user", "completion": "assistant"}
_SHAREGPT = {
    "system": "system",
    "developer": "system",
    "user": "human",
    "assistant": "gpt",
    "tool": "observation",
}


def instruction(parts: Record) -> Record:
    """Alpaca's three columns; without an input, an empty one."""
    return {
        "instruction": parts["instruction"],
        "input": parts.get("input", ""),
        "output": parts["output"],
    }


def messages(parts: Record) -> Record:
    """One conversation: the one that the row has, or prompt and completion as its turns."""
    return {"messages": _conversation(parts)}


def openai(parts: Record) -> Record:
    """A line for fine-tuning; `tools` only where the row has some."""
    tools = {"tools": parts["tools"]} if parts.get("tools") else {}
    return {**messages(parts), **tools}


def sharegpt(parts: Record) -> Record:
    """A conversation with the names that ShareGPT has for roles."""
    turns = _conversation(parts)
    return {
        "conversations": [
            {"from": _SHAREGPT[turn["role"]], "value": turn["content"]} for turn in turns
        ]
    }


def conversational(*answers: str) -> Callable[[Record], Record]:
    """A record whose prompt and answers are lists of turns; other parts stay as they are."""

    def build(parts: Record) -> Record:
        system = as_turns(parts["system"], "system") if "system" in parts else []
        turns = {"prompt": [*system, *as_turns(parts["prompt"], "user")]}
        turns |= {name: as_turns(parts[name], "assistant") for name in answers}
        others = {name: v for name, v in parts.items() if name not in {*turns, "system"}}
        return {**turns, **others}

    return build


def setfit(parts: Record) -> Record:
    """Text, number of the class and its name."""
    return {"text": parts["text"], "label": parts["label"], "label_text": parts["label_text"]}


def ragas(parts: Record) -> Record:
    """A sample of an evaluation set; what the row lacks is null."""
    names = ("user_input", "retrieved_contexts", "reference_contexts", "response", "reference")
    return {name: parts.get(name) for name in names}


def steps_fault(parts: Record) -> str:
    """What is wrong with a solution in steps; empty for nothing."""
    steps, labels = len(parts["completions"]), len(parts["labels"])
    return "" if steps == labels else f"{steps} completions and {labels} labels"


def _conversation(parts: Record) -> list[JSON]:
    if "messages" in parts:
        system = as_turns(parts["system"], "system") if "system" in parts else []
        return [*system, *parts["messages"]]
    return [
        {"role": role, "content": parts[part]} for part, role in _ROLE_OF.items() if part in parts
    ]
