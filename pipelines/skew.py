"""How the shards of a job may differ from each other by what made them.

    other_makers(first, second)
    # "textmill 0.2.0, not 0.1.0"   or   "revision 4f1c of the model 'writer', not b179"
    environment_skew(first, second)
    # (["torch 2.12.0, not 2.13.0", "dtype float32 of the model 'writer', not bfloat16"],
    #  ["numpy 2.3.1, not 2.4.0"])

Versions of textmill and models decide what is asked and who answers: shards of others are no shards
of one run. Torch and the machine decide the last bits of every sum, as `pipelines.beginnings` has
it: they are a reason to stop and ask. Other packages are told of.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.beginnings import DECIDING
from pipelines.rows import JSON

_BY_MACHINE = ("dtype", "device")  # of a model; `auto` has the machine decide
_NAMES = ("model", "revision", "window", "engine")

Manifest = Mapping[str, Any]


def other_makers(then: Manifest, now: Manifest) -> str:
    """Why the second cannot be a shard of the run that the first is one of; empty where it can."""
    return next(_other_makers(then, now), "")


def environment_skew(then: Manifest, now: Manifest) -> tuple[list[str], list[str]]:
    """What of the second's machine and packages differs: what decides bytes, and the rest."""
    first, second = _environment(then), _environment(now)
    found = [
        _differ(what, first.get(what), second.get(what))
        for what in dict.fromkeys([*first, *second])
        if first.get(what) != second.get(what)
    ]
    deciding = [skew for skew in found if skew.startswith(DECIDING)]
    rest = [skew for skew in found if skew not in deciding]
    for name, one, other in _models(then, now):
        deciding += [
            _of_model(key, name, one, other)
            for key in _BY_MACHINE
            if one.get(key) != other.get(key)
        ]
    return deciding, rest


def _other_makers(then: Manifest, now: Manifest) -> Iterator[str]:
    for key in ("textmill", "format"):
        if then[key] != now[key]:
            yield _differ("textmill" if key == "textmill" else "run format", then[key], now[key])
    for name, one, other in _models(then, now):
        differing = [key for key in _NAMES if one.get(key) != other.get(key)]
        if differing:
            yield _of_model(differing[0], name, one, other)
        same_machine = all(one.get(key) == other.get(key) for key in _BY_MACHINE)
        if same_machine and one.get("fingerprint") != other.get("fingerprint"):
            yield f"other weights, or another decode loop, of the model '{name}'"
    one, other = then.get("embedder") or {}, now.get("embedder") or {}
    if one and other and one != other:
        yield f"another embedder, {other.get('fingerprint', '')[:12]}"


def _models(then: Manifest, now: Manifest) -> Iterator[tuple[str, Manifest, Manifest]]:
    """What both say of each model."""
    for name, one in then.get("models", {}).items():
        if other := now.get("models", {}).get(name):
            yield name, one, other


def _environment(manifest: Manifest) -> dict[str, JSON]:
    return {**manifest.get("versions", {}), "machine": manifest.get("machine")}


def _of_model(key: str, name: str, one: Manifest, other: Manifest) -> str:
    return f"{key} {other.get(key)} of the model '{name}', not {one.get(key)}"


def _differ(what: str, then: JSON, now: JSON) -> str:
    return f"{what} {now}, not {then}"
