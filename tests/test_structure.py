"""The shape of the project: which package may import which, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from prompts import errors

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "chains", "prompts")
HEAVY = {"torch", "transformers", "langchain", "langchain_core", "langchain_community", "datasets"}
ERRORS = {
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.TextmillError)
}
FORBIDDEN = {
    "pipelines": {"torch", "transformers", "langchain", "langchain_core", "langchain_community"},
    "chains": {"pipelines"},
    "prompts": {"pipelines", "chains", *HEAVY},
}


def modules(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """First parts of the names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_run_one_way(package: str) -> None:
    wrong = {
        str(path.relative_to(REPOSITORY)): sorted(imported(path) & FORBIDDEN[package])
        for path in modules(package)
        if imported(path) & FORBIDDEN[package]
    }
    assert wrong == {}


def test_langchain_community_has_one_adapter() -> None:
    users = [
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in modules(package)
        if "langchain_community" in imported(path)
    ]
    assert users == ["chains/retrieval/community.py"]


def raised_without_fix(path: Path) -> list[str]:
    """Where an error of ours is made that does not say what to do."""
    return [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ERRORS
        and not {"fix", None} & {keyword.arg for keyword in node.keywords}
    ]


def test_every_error_says_what_to_do() -> None:
    assert len(ERRORS) >= 10
    files = (path for package in PACKAGES for path in modules(package))
    assert [place for path in files for place in raised_without_fix(path)] == []


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in modules(package)
    }
    assert {path: length for path, length in lengths.items() if length > 350} == {}


@pytest.mark.parametrize(
    "module",
    ["pipelines.cli", "pipelines.job", "pipelines.commands", "chains", "chains.models", "prompts"],
)
def test_importing_stays_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["pipelines/stages", "pipelines/sources", "pipelines/exporters"])
def test_every_part_is_in_its_catalogue(folder: str) -> None:
    """A class that registers itself in a module nobody imports would be unknown to jobs."""
    catalogue = (REPOSITORY / folder / "__init__.py").read_text(encoding="utf-8")
    for path in (REPOSITORY / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if ".register\n" in text and path.name != "base.py":
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            assert module in catalogue, f"{module} registers a part and is not imported"
