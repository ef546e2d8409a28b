"""Does a test notice when a line of the core is wrong? Small errors are put in, one at a time.

    python -m benchmarks.mutation                                all modules, hours
    python -m benchmarks.mutation pipelines/ledger.py --most 20

    pipelines/ledger.py            57 of 60 killed, 95 %
      survived  line 103  range(0, len(keys), _CHUNK)  ->  range(1, len(keys), _CHUNK)

A mutant is the module with one node of its syntax tree changed (Jia and Harman 2011 call these
first-order mutants); it is killed if one of the module's tests fails or takes ten times as long.
Only the tests that reach the changed line are run. No file is written: each mutant is a fork whose
functions are given the changed code, so tests that start processes of their own do not count.
"""

import argparse
import contextlib
import gc
import os
import pickle
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple, TypeVar

import hypothesis
import pytest

from benchmarks.mutants import Mutant, mutants

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[1]
SEED = 17
MOST = 60
_OPTIONS = [
    *("-q", "-p", "no:cacheprovider", "--tb=no", "-m", "not slow", "-k", "not killed"),
    *("-W", "ignore:Module already imported"),  # which a second session in one process says
]
_TESTS = "tests/pipelines/test_{}.py"
_DEDUP = ("stage_dedup", "stage_dedup_sets", "stage_minhash")
CORE: dict[str, tuple[str, ...]] = {
    "pipelines/accounting.py": ("accounting",),
    "pipelines/rows.py": ("rows",),
    "pipelines/journal.py": ("folder",),
    "pipelines/ledger.py": ("ledger",),
    "pipelines/occurrences.py": ("occurrences",),
    "pipelines/blocks.py": ("runner",),
    "pipelines/runner.py": ("runner_watch", "runner"),
    "pipelines/quota.py": ("quota_cells", "quota"),
    "pipelines/cells.py": ("quota",),
    "pipelines/exporters/groups.py": ("export_splits",),
    "pipelines/exporters/splits.py": ("export_splits",),
    "pipelines/exporters/splitting.py": ("export_splitting",),
    "pipelines/stages/dedup/stage.py": _DEDUP,
    "pipelines/stages/dedup/seen.py": _DEDUP,
    "pipelines/stages/dedup/minhash.py": _DEDUP,
}
"""The modules whose errors would lose, double or misplace rows, and the tests that must notice."""


class Reached(NamedTuple):
    """What one test does: its seconds of processor time, and the module's lines that it reaches."""

    seconds: float
    lines: frozenset[int]


def mutation(module: str, most: int) -> Iterator[str]:
    """Try up to `most` mutants of a module, drawn by a fixed seed; what became of them in lines."""
    path = REPOSITORY / module
    files = [_TESTS.format(name) for name in CORE[module]]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*_OPTIONS, "--collect-only", *files])  # so that forks have all imported
    tests = _in_fork(lambda: _baseline(path, files))
    assert tests is not None, f"{module}: its tests fail as they are"
    unchanged = Mutant(1, 10**6, False, "", "", compile(path.read_text(), str(path), "exec"))
    assert not _killed(unchanged, path, tests), f"{module}: its tests fail with nothing changed"
    everything = list(mutants(path.read_text(), str(path)))
    drawn = random.Random(SEED).sample(everything, min(most, len(everything)))
    survived = [m for m in drawn if not _killed(m, path, tests)]
    killed = len(drawn) - len(survived)
    of = f"{killed} of {len(drawn)} killed"
    yield f"{module:<40} {of}, {100 * killed / max(1, len(drawn)):.0f} %, {len(everything)} in all"
    for mutant in sorted(survived, key=lambda mutant: mutant.line):
        yield f"  survived  line {mutant.line}  {mutant.before}  ->  {mutant.after}"


def _killed(mutant: Mutant, path: Path, tests: dict[str, Reached]) -> bool:
    """Whether one of the tests that reach the line fails, or does not end."""
    lines = set(range(mutant.line, mutant.last + 1))
    chosen = [n for n, test in tests.items() if mutant.at_import or lines & test.lines]
    chosen.sort(key=lambda name: tests[name].seconds)
    if not chosen:
        return False
    seconds = 10 + 10 * sum(tests[name].seconds for name in chosen)
    return _in_fork(lambda: _run(chosen, path, mutant), seconds) != pytest.ExitCode.OK


def _run(tests: list[str], path: Path, mutant: Mutant) -> int:
    """Run tests with the mutant in the module's place, up to the first that fails."""
    if mutant.at_import:
        _import_anew(path, mutant.code)
    else:
        _swap(path, mutant.code)
    return int(pytest.main([*_OPTIONS, "-x", *tests]))


def _swap(path: Path, code: CodeType) -> None:
    """Give the functions of an imported module their changed code."""
    changed = {(part.co_qualname, part.co_firstlineno): part for part in _parts(code)}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(path):
            own = thing.__code__
            thing.__code__ = changed.get((own.co_qualname, own.co_firstlineno), own)


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)


def _import_anew(path: Path, code: CodeType) -> None:
    """Forget all modules of ours; the one of `path` is given the changed code when it comes."""
    for name, module in list(sys.modules.items()):
        file = str(getattr(module, "__file__", "") or "")
        if file.startswith(f"{REPOSITORY}/") and "site-packages" not in file:
            del sys.modules[name]
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        return code if self.path == str(path) else original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]


def _baseline(path: Path, files: list[str]) -> dict[str, Reached] | None:
    """What each test reaches; None where one fails."""
    watching = _Watching(path)
    code = pytest.main([*_OPTIONS, *files], plugins=[watching])
    return watching.tests if code == pytest.ExitCode.OK else None


def _in_fork(work: Callable[[], T], seconds: float | None = None) -> T | None:
    """What a fork of this process makes; None where it dies or takes longer than asked."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            _limit(seconds)
            sent = pickle.dumps(work())
            with open(writer, "wb") as pipe:  # noqa: PTH123
                pipe.write(sent)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123
        received = pipe.read()
    os.waitpid(child, 0)
    result: T | None = pickle.loads(received) if received else None  # our own bytes
    return result


def _limit(seconds: float | None) -> None:
    """Make this process quiet, and end it after some seconds of processor time or of waiting."""
    if seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
        signal.alarm(int(20 * seconds))
    sys.dont_write_bytecode = True
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


class _Watching:
    """A plugin that notes which lines of a module each test reaches."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._now: set[int] = set()
        self.tests: dict[str, Reached] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now = set()
        start = time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            seconds = time.process_time() - start
            self.tests[item.nodeid] = Reached(seconds, frozenset(self._now))

    def _trace(self, frame: FrameType, event: str, value: Any) -> Any:
        if frame.f_code.co_filename != self._path:
            return None
        self._now.add(frame.f_lineno)
        return self._trace


def main() -> None:
    """Try mutants of the modules that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", choices=[*CORE, []], help="all if none is named")
    parser.add_argument("--most", type=int, default=MOST, help="mutants of a module")
    asked = parser.parse_args()
    hypothesis.settings.register_profile(
        "mutants", database=None, deadline=None, derandomize=True, max_examples=100
    )
    hypothesis.settings.load_profile("mutants")
    for module in asked.modules or CORE:
        for line in mutation(module, asked.most):
            print(line, flush=True)


if __name__ == "__main__":
    main()
