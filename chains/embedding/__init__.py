"""Embedders: a name in a job becomes something that turns texts into vectors. Light at import.

embedder = open_embedder("embedded")          # all-MiniLM-L6-v2
embedder = open_embedder("./my-embedder")     # BERT-like or model2vec; or a Hub id
embedder = open_embedder("scripted")          # hashed letters: instant, for tests
"""

from chains.embedding.base import Embedder

__all__ = ["Embedder", "fingerprint", "open_embedder"]


def open_embedder(name: str, *, offline: bool = False) -> Embedder:
    """Load an embedder.

    Args:
        name: `embedded`, `scripted`, a folder or a Hub id.
        offline: Never ask a model hub.

    Raises:
        ModelError: It cannot be found or loaded.
    """
    from chains.embedding.files import is_static, locate_embedder
    from chains.embedding.scripted import ScriptedEmbedder

    if name == "scripted":
        return ScriptedEmbedder()
    files = locate_embedder(name, offline=offline)
    identity = fingerprint(name, offline=offline)
    if is_static(files):
        from chains.embedding.static import StaticEmbedder

        return StaticEmbedder(files, identity)
    from chains.embedding.transformer import TransformerEmbedder

    return TransformerEmbedder(files, identity)


def fingerprint(name: str, *, offline: bool = False) -> str:
    """What `open_embedder(name).fingerprint` is, found out without loading anything.

    Raises:
        ModelError: It cannot be found.
    """
    from chains.embedding.files import embedder_fingerprint

    return embedder_fingerprint(name, offline=offline)
