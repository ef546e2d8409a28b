"""Fingerprints: 64 hex digits from all that decides a model's replies besides the call.

What goes in for a local model, never a path or a key:

    sha256:b179c9523d0e...+gguf1-bfloat16 | bfloat16 | cpu | engine2
"""

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

from chains.models.machine import resolve_device, resolve_dtype
from chains.models.spec import ModelSpec

ENGINE = 5
"""Raised whenever the decode loop may give other bytes for the same weights and calls."""


def digest_of(*parts: str) -> str:
    """SHA-256 over the parts, as 64 hex digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def local_fingerprint(spec: ModelSpec, identity: str) -> str:
    """The fingerprint of a model that runs on this machine.

    Args:
        spec: Number type, device, window, languages and prefix sharing count; the batch size does
            not.
        identity: Of the weights, tokenizer and template.
    """
    device = resolve_device(spec.device)
    window = "" if spec.window is None else f"window{spec.window}"
    engine = f"engine{ENGINE}" if spec.share_prefixes else f"engine{ENGINE} unshared"
    languages = [f"{spec.src_lang} to {spec.tgt_lang}"] if spec.src_lang else []
    dtype = resolve_dtype(spec.dtype, device)
    return digest_of(identity, dtype, device, window, engine, *languages)


def scripted_fingerprint(replies: tuple[str, ...], script: str = "") -> str:
    """The fingerprint of a scripted model, by its replies and the name of its script."""
    return digest_of("scripted", *replies, script, f"engine{ENGINE}")


def server_fingerprint(spec: ModelSpec) -> str:
    """The fingerprint of a server's model: its name and the address, without credentials.

    Of several addresses the first counts, so that one more answers what is known for nothing.
    """
    parts = urlsplit(spec.addresses[0])
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return digest_of("server", address, spec.model, f"engine{ENGINE}")


def vllm_fingerprint(spec: ModelSpec, identity: str) -> str:
    """The fingerprint of a model that vLLM runs: as a local one's, and vLLM's version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("vllm")
    except PackageNotFoundError:
        release = "none"
    window = "" if spec.window is None else f"window{spec.window}"
    return digest_of(identity, spec.dtype, "vllm", release, window)


def server_description(spec: ModelSpec) -> dict[str, Any]:
    """For the manifest; without the address, which may be private, and asking no server."""
    window = {} if spec.window is None else {"window": spec.window}
    return {"model": spec.model, "engine": "server", **window}
