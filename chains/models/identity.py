"""The fingerprint of a model: what decides its replies besides the call, never a path or a key.

sha256:b179c9523d0e...+gguf1-bfloat16|bfloat16|cpu|engine1
"""

import hashlib
import json
from urllib.parse import urlsplit

from chains.models.machine import resolve_device, resolve_dtype
from chains.models.spec import ModelSpec

ENGINE = 1
"""Raised whenever the decode loop may give other bytes for the same weights and calls."""


def local_fingerprint(spec: ModelSpec, identity: str) -> str:
    """The fingerprint of a model that runs on this machine.

    Args:
        spec: Number type, device and window count; the batch size does not.
        identity: Of the weights, tokenizer and template.
    """
    device = resolve_device(spec.device)
    parts = [identity, resolve_dtype(spec.dtype, device), device, f"engine{ENGINE}"]
    if spec.window is not None:
        parts.append(f"window{spec.window}")
    return "|".join(parts)


def scripted_fingerprint(replies: tuple[str, ...]) -> str:
    """The fingerprint of a scripted model that chooses among `replies`."""
    digest = hashlib.sha256(json.dumps(replies).encode()).hexdigest()
    return f"scripted:{digest[:16]}|engine{ENGINE}"


def server_fingerprint(spec: ModelSpec) -> str:
    """The fingerprint of a server's model: its name and the address, without credentials."""
    parts = urlsplit(spec.server)
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return f"server:{address}|{spec.model}|engine{ENGINE}"
