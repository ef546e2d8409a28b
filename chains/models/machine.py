"""What this machine offers: device, number type, free memory.

device = resolve_device("auto")              # "cpu" or "cuda"
resolve_dtype("auto", device)                # "bfloat16" where the hardware has it

Torch, which takes seconds to import, is asked only where there is a GPU.
"""

import ctypes
import importlib.util
import logging
import os
import platform
import re
import warnings
from functools import cache
from pathlib import Path

from prompts.errors import ModelError

logger = logging.getLogger("textmill.models")

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Processor flags (x86, x86, Arm) of instructions that multiply bfloat16."""

_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_AMPERE = 8

_M_TRIM_THRESHOLD = -1  # options of mallopt
_M_MMAP_THRESHOLD = -3
_MOST = 32 * 2**20  # bytes, the most that every glibc takes; larger blocks still go back at once


def resolve_device(wanted: str) -> str:
    """`cpu` or `cuda`, for `auto` or either; `auto` does without a GPU that torch cannot use.

    Raises:
        ModelError: `cuda` is asked for and there is none, or torch cannot use it.
    """
    if wanted == "cpu":
        return "cpu"
    found = _cuda_capability() is not None
    if found and not _flaw_of_cuda():
        return "cuda"
    if wanted == "cuda":
        flaw = "no CUDA device or no CUDA build of torch is there"
        flaw = f"torch cannot use the GPU: {_flaw_of_cuda()}" if found else flaw
        fix = "mend the GPU's driver" if found else "install a CUDA build of torch"
        problem = f"device 'cuda' is asked for, and {flaw}"
        raise ModelError(problem, fix=f"write 'device: cpu', or {fix}")
    return "cpu"


def resolve_dtype(wanted: str, device: str) -> str:
    """`bfloat16` or `float32`, for `auto` or either of them."""
    if wanted != "auto":
        return wanted
    if device == "cuda":
        capability = _cuda_capability()
        return "bfloat16" if capability is not None and capability >= _AMPERE else "float32"
    return "bfloat16" if _cpu_flags() & BFLOAT16_FLAGS else "float32"


def visible_gpus() -> list[str]:
    """The CUDA devices that torch can use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [str(n) for n in range(count)] if named is None else named.split(",")[:count]


def free_memory() -> int | None:
    """Bytes of main memory that a process may still take; None where the system does not say."""
    limits = [free for free in (_free_of_machine(), _free_of_group()) if free is not None]
    return min(limits, default=None)


@cache
def keep_freed_memory() -> None:
    """Let the allocator of glibc keep what is freed; where there is another one, do nothing.

    A decode step frees and asks again for some ten large tensors. Handed back to the system each
    time, their pages have to be cleared anew, which takes a tenth of the step.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    options = ctypes.CDLL(None)
    options.mallopt(_M_MMAP_THRESHOLD, _MOST)
    options.mallopt(_M_TRIM_THRESHOLD, 8 * _MOST)


@cache
def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


@cache
def _cuda_capability() -> int | None:
    """Major compute capability of the first CUDA device, None where torch has no use for one."""
    if not _torch_is_built_for_cuda() or os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return None
    name = "nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return None
    count, device, major = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    return major.value


@cache
def _flaw_of_cuda() -> str:
    """Why torch cannot use the GPU that is there, which is told once; empty where it can."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            import torch

            if torch.cuda.is_available():
                return ""
            # Such as a driver that is too old, which is a warning to torch.
            flaw = str(told[-1].message) if told else "it finds none"
        except (OSError, RuntimeError, AssertionError) as exc:
            flaw = str(exc)
    flaw = (flaw.strip() or "unknown").splitlines()[0][:200]
    logger.warning("models run on the CPU: torch cannot use the GPU: %s", flaw)
    return flaw


def _torch_is_built_for_cuda() -> bool:
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return False
    version = Path(spec.submodule_search_locations[0]) / "version.py"
    return re.search(r"^cuda\b.*= ['\"]", version.read_text(), re.MULTILINE) is not None


def _free_of_machine() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _free_of_group() -> int | None:
    """What the control group of a container leaves."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = (group / "memory.current").read_text().strip()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
