"""Models, decoding, retrieval and chains: the only package that knows LangChain and torch.

    from chains import build_chain, open_model, load_prompt, ModelSpec

    model = open_model(ModelSpec(model="embedded"))
    chain = build_chain(load_prompt("qa/question"), model)       # prompt | model | parser
    chain.invoke({"context": "Rain is wet."})                    # "What is rain?"

Names are resolved when they are first used, so that importing the package loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chains.calls import Call, Message, Reply
    from chains.embedding import open_embedder
    from chains.models import open_model
    from chains.models.spec import ModelSpec
    from chains.prompting import as_template, build_chain
    from prompts.prompt import load_prompt

_HOMES = {
    "Call": "chains.calls",
    "Message": "chains.calls",
    "ModelSpec": "chains.models.spec",
    "Reply": "chains.calls",
    "as_template": "chains.prompting",
    "build_chain": "chains.prompting",
    "load_prompt": "prompts.prompt",
    "open_embedder": "chains.embedding",
    "open_model": "chains.models",
}

__all__ = [
    "Call",
    "Message",
    "ModelSpec",
    "Reply",
    "as_template",
    "build_chain",
    "load_prompt",
    "open_embedder",
    "open_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chains' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
