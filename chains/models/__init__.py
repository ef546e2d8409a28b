"""Models: a job's spec becomes something that answers calls. Importing this is light.

spec = ModelSpec(model="embedded")
fingerprint(spec)                    # without loading it: "4f0c71b2..."
model = open_model(spec)             # a LangChain chat model with `answer(calls)`
open_tokenizer(spec).count("Hello")  # 1
"""

from collections.abc import Sequence

from chains.calls import Model
from chains.models.spec import ModelSpec
from chains.models.tokens import TokenSpans

__all__ = [
    "Model",
    "ModelSpec",
    "TokenSpans",
    "fingerprint",
    "head_labels",
    "open_model",
    "open_tokenizer",
]


def open_model(
    spec: ModelSpec, *, offline: bool = False, workers: int = 0, plugins: Sequence[str] = ()
) -> Model:
    """Load or connect to a model.

    Args:
        spec: What the job says.
        offline: Never ask a model hub.
        workers: Processes that answer the calls of a local model; 0 for this one alone. Such a
            model has a `close` of its own.
        plugins: Modules that workers import first.

    Raises:
        ModelError: It cannot be found, loaded or reached.
        ResourceError: It does not fit into memory.
    """
    if spec.server:
        from chains.models.server import open_server

        return open_server(spec)
    if spec.model == "scripted":
        from chains.models.scripted import ScriptedChat

        return ScriptedChat(replies=spec.replies)
    if spec.engine == "vllm":
        from chains.models.vllm_chat import open_vllm

        return open_vllm(spec, offline=offline)
    if workers:
        from chains.models.workers import WorkerPool

        return WorkerPool(spec, workers, offline=offline, plugins=plugins)
    from chains.models.opening import open_local

    return open_local(spec, offline=offline)


def fingerprint(spec: ModelSpec, *, offline: bool = False) -> str:
    """What `open_model(spec).fingerprint` is, found out without loading anything.

    Raises:
        ModelError: The model cannot be found.
    """
    if spec.server:
        from chains.models.identity import server_fingerprint

        return server_fingerprint(spec)
    if spec.model == "scripted":
        from chains.models.identity import scripted_fingerprint

        return scripted_fingerprint(spec.replies)
    from chains.models.identity import local_fingerprint, vllm_fingerprint
    from chains.models.locate import locate

    located = locate(spec, offline=offline)
    if spec.engine == "vllm":
        return vllm_fingerprint(spec, located.identify())
    return local_fingerprint(spec, located.identify())


def head_labels(spec: ModelSpec, *, offline: bool = False) -> tuple[str, ...] | None:
    """The labels of a classifier, one for a reward model; None for a model that writes.

    Raises:
        ModelError: The model cannot be found.
    """
    if spec.server or spec.model in {"embedded", "scripted"} or spec.model.endswith(".gguf"):
        return None
    from chains.models.files import inspect
    from chains.models.heads import head_of
    from chains.models.locate import locate

    return head_of(inspect(locate(spec, offline=offline).folder()).config)


def open_tokenizer(spec: ModelSpec, *, offline: bool = False) -> TokenSpans:
    """The tokenizer of a model alone.

    A scripted model and a server, whose tokenizer is not here, count words and punctuation marks.

    Raises:
        ModelError: The model cannot be found, or its tokenizer tells no character offsets.
    """
    from chains.models.tokens import WordSpans, load_spans

    if spec.server or spec.model == "scripted":
        return WordSpans()
    from chains.models.locate import locate

    return load_spans(locate(spec, offline=offline).folder())
