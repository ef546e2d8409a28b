"""How many tokens a model can read, from its description and its files; nothing is loaded.

known_window(ModelSpec(model="embedded"))                # 8192
known_window(ModelSpec(server="http://...", model="m"))  # None: the server is not asked
"""

from typing import TYPE_CHECKING

from prompts.errors import ModelError

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec

EMBEDDED = 8_192
"""Of the embedded model; its own file says so too, but it takes seconds to unpack."""

LIMITS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
"""The names by which configs say how many positions a model has."""


def known_window(spec: "ModelSpec") -> int | None:
    """The window in tokens, as far as the job or files on this machine say; else None."""
    own = _own(spec)
    found = [window for window in (own, spec.window) if window is not None]
    return min(found, default=None)


def _own(spec: "ModelSpec") -> int | None:
    if spec.server or spec.model == "scripted" or spec.model.endswith(".gguf"):
        return None
    if spec.model == "embedded":
        return EMBEDDED
    from chains.models.files import inspect
    from chains.models.locate import locate

    try:
        config = inspect(locate(spec, offline=True).folder()).config
    except ModelError:
        return None
    limits = (config.get(name) for name in LIMITS)
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
