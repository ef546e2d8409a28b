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
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
_PATIENCE = 3.0  # seconds
_OPTIONS = [
    *("-q", "-s", "-p", "no:cacheprovider", "--tb=no", "-m", "not slow", "-k", "not killed"),
    *("-W", "ignore:Module already imported"),  # which a second session in one process says
    *("-o", "timeout=0"),  # it would set the same alarm as a fork
]
_TESTS = "tests/pipelines/test_{}.py"
_DEDUP = ("stage_dedup_settings", "stage_dedup_sets", "stage_dedup")
CORE: dict[str, tuple[str, ...]] = {
    "pipelines/accounting.py": ("accounting",),
    "pipelines/rows.py": ("rows",),
    "pipelines/soundness.py": ("soundness",),
    "pipelines/journal.py": ("journal",),
    "pipelines/ledger.py": ("ledger",),
    "pipelines/occurrences.py": ("occurrences",),
    "pipelines/blocks.py": ("blocks",),
    "pipelines/runner.py": ("runner_parts", "runner_watch", "runner"),
    "pipelines/quota.py": ("quota_cells",),
    "pipelines/cells.py": ("cells",),
    "pipelines/exporters/groups.py": ("export_groups",),
    "pipelines/exporters/splits.py": ("export_splits",),
    "pipelines/exporters/splitting.py": ("export_splitting",),
    "pipelines/stages/dedup/stage.py": _DEDUP,
    "pipelines/stages/dedup/seen.py": _DEDUP,
    "pipelines/stages/dedup/minhash.py": ("stage_minhash", "stage_dedup"),
}
"""The modules whose errors would lose, double or misplace rows, and the tests that must notice."""


class Reached(NamedTuple):
    """What one test does: its seconds of processor time, and the module's lines that it reaches."""

    seconds: float
    lines: frozenset[int]


def mutation(module: str, most: int | None) -> Iterator[str]:
    """Try a module's mutants, or `most` drawn by a fixed seed; what became of them in lines."""
    path = REPOSITORY / module
    everything = list(mutants(path.read_text(), str(path)))
    drawn = everything if most is None else random.Random(SEED).sample(everything, most)
    trying = _Trying(path, drawn)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder  # forks end without clearing up
        with contextlib.redirect_stdout(nowhere):
            pytest.main([*_OPTIONS, *map(_TESTS.format, CORE[module])], plugins=[trying])
        survived = trying.survived + [
            mutant for mutant in drawn if mutant.at_import and _imported(mutant, path, trying.tests)
        ]
    killed = len(drawn) - len(survived)
    of = f"{killed} of {len(drawn)} killed"
    yield f"{module:<40} {of}, {100 * killed / max(1, len(drawn)):.0f} %, {len(everything)} in all"
    for mutant in sorted(survived, key=lambda mutant: mutant.line):
        yield f"  survived  line {mutant.line}  {mutant.before}  ->  {mutant.after}"


class _Trying:
    """A plugin that runs the tests in forks: once as they are, then for each mutant.

    Attributes:
        tests: By their names.
        survived: The mutants within functions that no test noticed.
    """

    def __init__(self, path: Path, drawn: Sequence[Mutant]) -> None:
        self._path = path
        self._drawn = [mutant for mutant in drawn if not mutant.at_import]
        self._functions: list[FunctionType] = []
        self.tests: dict[str, Reached] = {}
        self.survived: list[Mutant] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants in the place of running the tests."""
        self._functions = _functions_of(self._path)
        gc.freeze()  # or a collection in a fork would copy all memory
        found = _in_fork(lambda: _baseline(self._path, session))
        assert found is not None, f"{self._path}: its tests fail as they are"
        self.tests = found
        code = compile(self._path.read_text(), str(self._path), "exec")
        same = Mutant(1, 10**6, False, "", "", code)
        assert self._survives(same, session), f"{self._path}: its tests fail with nothing changed"
        self.survived = [mutant for mutant in self._drawn if self._survives(mutant, session)]
        return True

    def _survives(self, mutant: Mutant, session: pytest.Session) -> bool:
        """Whether all tests that reach the line pass, in time."""
        lines = set(range(mutant.line, mutant.last + 1))
        seconds = {name: test.seconds for name, test in self.tests.items() if lines & test.lines}
        chosen = sorted(
            (item for item in session.items if item.nodeid in seconds),
            key=lambda item: seconds[item.nodeid],
        )

        def work() -> bool:
            _swap(self._functions, mutant.code)
            for item, following in _with_next(chosen):
                _limit(_PATIENCE + 10 * seconds[item.nodeid])
                if not _passes(item, following):
                    return False
            return True

        return bool(_in_fork(work))


def _baseline(path: Path, session: pytest.Session) -> dict[str, Reached] | None:
    """What each test reaches; None where one fails."""
    reached = {}
    for item, following in _with_next(session.items):
        watching = _Watching(path)
        with watching:
            passed = _passes(item, following)
        if not passed:
            return None
        reached[item.nodeid] = Reached(watching.seconds, frozenset(watching.lines))
    return reached


def _with_next(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=True)


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    return not item.session.testsfailed


def _imported(mutant: Mutant, path: Path, tests: dict[str, Reached]) -> bool:
    """Whether all tests pass where the module is imported with the mutant in its place."""

    def work() -> bool:
        _limit(_PATIENCE + 10 * sum(test.seconds for test in tests.values()))
        _import_anew(path, mutant.code)
        names = sorted(tests, key=lambda name: tests[name].seconds)
        return pytest.main([*_OPTIONS, "-x", *names]) == pytest.ExitCode.OK

    return bool(_in_fork(work))


def _functions_of(path: Path) -> list[FunctionType]:
    """The functions of an imported module, those in others' functions and classes included."""
    functions = (thing for thing in gc.get_objects() if isinstance(thing, FunctionType))
    return [function for function in functions if function.__code__.co_filename == str(path)]


def _swap(functions: Sequence[FunctionType], code: CodeType) -> None:
    """Give functions their changed code."""
    changed = {(part.co_qualname, part.co_firstlineno): part for part in _parts(code)}
    for function in functions:
        own = function.__code__
        function.__code__ = changed.get((own.co_qualname, own.co_firstlineno), own)


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


def _in_fork(work: Callable[[], T]) -> T | None:
    """What a quiet fork of this process makes; None where it dies."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            sys.dont_write_bytecode = True
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
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


def _limit(seconds: float) -> None:
    """End this process after some more seconds of processor time, or minutes of waiting."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 1, most))
    signal.alarm(300 + int(20 * seconds))


class _Watching:
    """Notes which lines of a module are reached, and the seconds of processor time."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.lines: set[int] = set()
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.seconds = -time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)
        threading.settrace(None)
        self.seconds += time.process_time()

    def _trace(self, frame: FrameType, event: str, value: Any) -> Any:
        if frame.f_code.co_filename != self._path:
            return None
        self.lines.add(frame.f_lineno)
        return self._trace


def main() -> None:
    """Try mutants of the modules that were named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", choices=[*CORE, []], help="all if none is named")
    parser.add_argument("--most", type=int, help="mutants of a module; left out, all")
    asked = parser.parse_args()
    hypothesis.settings.register_profile(
        "mutants", database=None, deadline=None, derandomize=True, max_examples=30
    )
    hypothesis.settings.load_profile("mutants")
    for module in asked.modules or CORE:
        for line in mutation(module, asked.most):
            print(line, flush=True)


if __name__ == "__main__":
    main()
