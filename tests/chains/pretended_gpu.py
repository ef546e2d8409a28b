"""A device that is none: tensors that say they lie on it are computed on the CPU.

    with on_gpu():
        model = open_model(ModelSpec(model=folder))       # its parameters lie on the device
        torch.ones(3, device=GPU) + torch.ones(3)         # RuntimeError, as on a real one

An operation on tensors of the device and of the CPU is refused as CUDA refuses it, so a tensor that
was made in the wrong place is found on a machine without a GPU. What CUDA's kernels compute is not.
PyTorch knows one such device for a process and cannot forget it: run this in one of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from chains.models import identity, opening

_setup_privateuseone_for_python_backend("pretended")
GPU = torch.device("pretended", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten
TAKES_BOTH = {
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
"""Operations for which CUDA takes tensors of the CPU too: copies, and the numbers of an index."""


class OnGpu(torch.Tensor):
    """A tensor on the device; `inner` lies on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls: type["OnGpu"], inner: torch.Tensor) -> "OnGpu":
        made: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=GPU,
        )
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("a tensor on the GPU cannot be read as an array")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """Where it is entered, what is made with `device=GPU` lies there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: Any) -> Any:
    """What an operation gives, on the device where that is asked for or its tensors are."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with Pretending():
            found = func.decompose(*args, **kwargs)
        if found is not NotImplemented:
            return found
    flat = tree_flatten((args, kwargs))[0]
    tensors = [each for each in flat if isinstance(each, torch.Tensor)]
    there = any(isinstance(each, OnGpu) for each in tensors)
    strays = [each for each in tensors if not isinstance(each, OnGpu) and each.dim()]
    if there and strays and func not in TAKES_BOTH:
        raise RuntimeError(f"{func}: one tensor on the GPU, one on the CPU: {strays[0].shape}")
    wanted = [each for each in flat if isinstance(each, torch.device)]
    there = wanted[0].type == GPU.type if wanted else there
    changed = {id(_here(each)): each for each in tensors} if func._schema.is_mutable else {}
    found = func(*tree_map(_here, args), **tree_map(_here, kwargs))

    def placed(each: Any) -> Any:
        if not isinstance(each, torch.Tensor):
            return each
        return changed.get(id(each)) if id(each) in changed else OnGpu(each) if there else each

    return tree_map(placed, found)


def _here(each: Any) -> Any:
    if isinstance(each, OnGpu):
        return each.inner
    return CPU if isinstance(each, torch.device) else each


@contextmanager
def on_gpu() -> Iterator[None]:
    """Models that are opened lie on the device."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` then asks for a copy, which we see
    before = opening.resolve_device
    for module in (opening, identity):
        module.resolve_device = lambda _: GPU.type  # type: ignore[attr-defined]
    try:
        with Pretending():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch._C._set_only_lift_cpu_tensors(False)
        for module in (opening, identity):
            module.resolve_device = before  # type: ignore[attr-defined]
