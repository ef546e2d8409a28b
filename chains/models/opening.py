"""Loading a local model: its files, its identity, and the class that its architecture asks for."""

from chains.models.chat import BatchChatModel
from chains.models.files import inspect, license_of
from chains.models.heads import head_of
from chains.models.hugging_face import check_memory
from chains.models.identity import local_fingerprint
from chains.models.local import Identity
from chains.models.locate import locate
from chains.models.machine import keep_freed_memory, resolve_device, resolve_dtype
from chains.models.spec import ModelSpec


def open_local(spec: ModelSpec, *, offline: bool = False) -> BatchChatModel:
    """Load a model onto this machine.

    Raises:
        ModelError: It cannot be found or loaded.
        ResourceError: It does not fit into memory.
    """
    found = locate(spec, offline=offline)
    device = resolve_device(spec.device)
    dtype = resolve_dtype(spec.dtype, device)
    files = inspect(found.folder())
    check_memory(files, dtype=dtype, device=device)
    keep_freed_memory()
    identity = Identity(
        name=found.name,
        fingerprint=local_fingerprint(spec, found.identify()),
        revision=found.revision,
        dtype=dtype,
        device=device,
        license=found.license or license_of(files.folder),
    )
    if head_of(files.config) is not None:
        from chains.models.classifier import open_classifier

        return open_classifier(files, spec, identity)
    if files.config.get("is_encoder_decoder"):
        from chains.models.text_to_text import open_text_to_text

        return open_text_to_text(files, spec, identity)
    from chains.models.causal import open_causal

    return open_causal(files, spec, identity)
