"""What the documentation says of keys, defaults, reasons, commands and links is so."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from doc_pages import (
    DOCS,
    REPOSITORY,
    anchors,
    codes,
    links,
    pages,
    prose,
    section,
    sections,
    uncoded,
)
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from chains.decoding import STRATEGIES, Decoding
from chains.models.spec import ModelSpec
from chains.retrieval import RETRIEVERS, RetrieverSettings
from pipelines.cli import app
from pipelines.drawing import DISTRIBUTIONS
from pipelines.exporters import EXPORTERS, Exporter
from pipelines.exporters.formats import FORMATS, ROWS
from pipelines.exporters.splitting import Splitting
from pipelines.job import Budget, Job
from pipelines.lab.tuning_space import Space
from pipelines.length import Length
from pipelines.quota import Quota
from pipelines.sources import SOURCES, Source
from pipelines.sources.covering import Sample
from pipelines.sources.fetched import Fetch
from pipelines.sources.passages import Split
from pipelines.sources.where import Bounds
from pipelines.stages import STAGES, Stage
from pipelines.stages.augment.gates import Gates
from pipelines.stages.augment.label_gate import LabelGate
from pipelines.stages.diversity.few_shot import FewShot
from pipelines.stages.heuristics import CHECKS
from pipelines.stages.shapes.sides import Side
from prompts.assertions import PromptTest
from prompts.errors import TextmillError
from prompts.file_format import Example, Output, PromptFile
from prompts.filters import FILTERS, TESTS
from prompts.registry import Registry

Keys = tuple[tuple[str, ...], type[BaseModel], set[str]]
Place = tuple[str, ...]
Part = tuple[Registry[Any], type[BaseModel], Place]

PARTS: list[Part] = [
    (SOURCES, Source, ("sources.md",)),
    (STAGES, Stage, ("stages.md",)),
    (RETRIEVERS, RetrieverSettings, ("retrievers.md",)),
    (STRATEGIES, Decoding, ("jobs.md", "Decoding")),
    (EXPORTERS, Exporter, ("exports.md",)),
]
"""The parts of a job, and the page and headings that theirs stand under."""

HEURISTICS = ("stages.md", "Cleaning and filtering", "`heuristics`")


def key_tables() -> Iterator[Keys]:
    """Where every table of keys is, the class it is about, and fields that stand elsewhere."""
    yield ("jobs.md", "Sections"), Job, set()
    yield ("jobs.md", "Sections", "Budget"), Budget, set()
    yield ("jobs.md", "Sections", "Quota"), Quota, set()
    yield ("sources.md",), Source, {"kind"}
    for draw in DISTRIBUTIONS.names():
        yield ("sources.md", "`attributes`", f"Draw `{draw}`"), DISTRIBUTIONS.find(draw), {"draw"}
    yield ("sources.md", "`documents`", "Split"), Split, set()
    yield ("sources.md", "`documents`", "Sample"), Sample, set()
    yield ("sources.md", "`records`", "Where"), Bounds, set()
    yield ("sources.md", "`web`", "Fetch"), Fetch, set()
    yield ("stages.md",), Stage, {"kind"}
    yield ("stages.md", "Writing", "`generate`", "Length of a reply"), Length, set()
    yield ("stages.md", "Writing", "`generate`", "Examples that are drawn"), FewShot, set()
    for check in ("words", "prompt_leak", "repetition", "unfinished", "urls", "markup"):
        yield (*HEURISTICS, f"Bounds of `{check}`"), CHECKS[check], set()
    yield (*HEURISTICS, "Bounds of `symbols` and `digits`"), CHECKS["symbols"], set()
    yield ("stages.md", "Variants", "`back_translate`", "Gates"), Gates, set()
    yield ("stages.md", "Variants", "`back_translate`", "Gates", "Label"), LabelGate, set()
    yield ("stages.md", "Row shapes", "`converse`", "Sides of a conversation"), Side, set()
    yield ("exports.md", "`hf_dataset`", "Splits"), Splitting, set()
    yield ("jobs.md", "Decoding"), Decoding, set()
    yield ("models.md",), ModelSpec, set()
    yield ("prompt-lab.md", "Tune"), Space, set()
    yield ("prompts.md",), PromptFile, set()
    yield ("prompts.md", "Examples"), Example, set()
    yield ("prompts.md", "Output"), Output, set()
    yield ("prompts.md", "Tests"), PromptTest, set()
    for registry, base, place in PARTS:
        for name in shipped(registry):
            shared = {*base.model_fields, registry.tag}
            yield place_of(name, place), registry.find(name), shared


def kinds(place: Place) -> dict[str, Place]:
    """The sections below `place` that are each about one kind, wherever they are grouped."""
    page, *above = place
    below = [part.place[1:] for part in sections(DOCS / page)]
    named = [part for part in below if part[: len(above)] == tuple(above) and part]
    return {uncoded(part[-1]): (page, *part) for part in named if part[-1].startswith("`")}


def place_of(kind: str, place: Place) -> Place:
    """Where a kind has its section; a place that is not there where it has none."""
    return kinds(place).get(kind, (*place, f"`{kind}`"))


def shipped(registry: Registry[Any]) -> list[str]:
    """The parts of the project itself; tests register some of their own."""
    packages = {"chains", "pipelines"}
    names = registry.names()
    return [n for n in names if registry.find(n).__module__.split(".")[0] in packages]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part[0].what)
def test_every_part_has_a_section(part: Part) -> None:
    registry, _, place = part
    assert set(kinds(place)) == set(shipped(registry))


@pytest.mark.parametrize("keys", list(key_tables()), ids=lambda keys: " > ".join(keys[0]))
def test_tables_name_every_key_with_its_default(keys: Keys) -> None:
    place, cls, elsewhere = keys
    part = section(*place)
    fields = {f.alias or name: f for name, f in cls.model_fields.items() if name not in elsewhere}
    written = dict(zip(part.column("key"), part.column("default"), strict=True)) if fields else {}
    assert set(written) == set(fields)
    wrong = {key: default(fields[key]) for key in fields if not says(written[key], fields[key])}
    assert wrong == {}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part[0].what)
def test_shared_keys_have_the_same_default_in_every_part(part: Part) -> None:
    registry, base, _ = part
    for name in shipped(registry):
        for key in set(base.model_fields) - {registry.tag}:
            found = registry.find(name).model_fields[key]
            assert default(found) == default(base.model_fields[key]), (name, key)


def default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def says(written: str, field: FieldInfo) -> bool:
    """Whether a cell of the column `default` gives the field's default, as YAML."""
    if written == "required" or field.is_required():
        return written == "required" and field.is_required()
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    return bool(adapter.validate_python(yaml.safe_load(written)) == default(field))


def test_formats_are_those_of_the_exporter() -> None:
    table = section("exports.md", "`hf_dataset`", "Formats").table()
    assert [uncoded(row["format"]) for row in table] == list(FORMATS)
    assert ROWS not in FORMATS
    for row in table:
        form = FORMATS[uncoded(row["format"])]
        assert codes(row["columns of the dataset"]) == list(form.columns)
        ways = [tuple(codes(way)) for way in row["parts it needs"].split(";")]
        assert ways == form.ways()
        assert codes(row["parts it may have"]) == list(form.optional)
        looked_for = [codes(choice) for choice in row["columns it looks for"].split(";")]
        assert looked_for == [list(usual.values()) for usual in form.usual]
    records = section("exports.md", "`hf_dataset`", "Formats", "Records").table()
    shown = {uncoded(row["format"]): json.loads(uncoded(row["a record"])) for row in records}
    assert {name: list(record) for name, record in shown.items()} == {
        name: list(form.columns) for name, form in FORMATS.items()
    }


def test_filters_and_tests_of_templates_are_listed() -> None:
    text = section("prompts.md", "Templates").text
    listed = re.search(r"Filters: (.*?)\. Tests: (.*?)\. In loops", text, re.S)
    assert listed is not None
    assert codes(listed[1]) == sorted(FILTERS)
    assert codes(listed[2]) == sorted(TESTS)


def test_exit_codes_are_those_of_the_errors() -> None:
    def tree(cls: type[TextmillError]) -> Iterator[type[TextmillError]]:
        yield cls
        for child in cls.__subclasses__():
            yield from tree(child)

    listed = ", ".join(section("runs.md", "Exit codes").column("code")).split(", ")
    known = {0, *(cls.exit_code for cls in tree(TextmillError)), 130, 143}
    assert [int(code) for code in listed] == sorted(known)


def test_stop_reasons_are_those_of_the_runner() -> None:
    listed = section("runs.md", "How a run goes").column("stop reason")
    found = strings(REPOSITORY / "pipelines/runner.py")
    assert set(listed) <= found
    assert {text for text in found if text.startswith("budget: ")} <= set(listed)


# Reasons of rejection.

GROUPS = {
    "Single stages": [
        "pipelines/stages",
        "pipelines/length.py",
        "pipelines/runner.py",
        "pipelines/cells.py",
    ],
    "Replies": ["chains/parsing.py"],
    "Models": ["chains/models", "chains/decoding", "chains/engine"],
    "Sources": ["pipelines/sources", "chains/loading"],
}
PLACES = {"Fault": 0, "ParseFault": 0, "Unreadable": 0, "_Refused": 0, "Rejection": 1, "BadSeed": 1}
"""Which argument of these is the reason."""
NO_ROWS = {"refused_key", "not_json", "budget"}
"""Of the same form: faults of a server that every call would have, and what a run is ended by."""


def listed_reasons(group: str) -> set[str]:
    return set(section("reasons.md", group).column("reason"))


@pytest.mark.parametrize("group", GROUPS)
def test_every_reason_is_listed(group: str) -> None:
    known = NO_ROWS.union(*map(listed_reasons, ("Any stage", "Single stages", "Models", group)))
    given: set[str] = set()
    for place in GROUPS[group]:
        for path in python_files(REPOSITORY / place):
            given |= reasons_in(path) | error_reasons_in(path)
    assert given - known == set()


@pytest.mark.parametrize("group", ["Any stage", *GROUPS])
def test_every_listed_reason_can_be_given(group: str) -> None:
    places = GROUPS.get(group, GROUPS["Single stages"])
    found: set[str] = set()
    for path in (path for place in places for path in python_files(REPOSITORY / place)):
        found |= strings(path) | error_reasons_in(path)
    if group == "Single stages":
        found |= {"no_reply", "too_long"}
    assert listed_reasons(group) - found == set()


@pytest.mark.parametrize("kind", shipped(STAGES))
def test_a_stage_lists_the_reasons_of_its_module(kind: str) -> None:
    """Those that helpers of several stages give are not looked for here."""
    modules = {cls.__module__ for cls in STAGES.find(kind).__mro__}
    given: set[str] = set()
    for module in modules - {"pipelines.stages.base"}:
        path = REPOSITORY / f"{module.replace('.', '/')}.py"
        given |= reasons_in(path) | error_reasons_in(path) if path.is_file() else set()
    assert given - reasons_of_part("stages.md", kind) == set()


def test_every_reason_of_the_tables_is_some_part_s() -> None:
    gates = section("stages.md", "Variants", "`back_translate`", "Gates")
    stages = {reason for kind in shipped(STAGES) for reason in reasons_of_part("stages.md", kind)}
    stages |= named_reasons(gates.text)
    assert listed_reasons("Single stages") - stages == set()
    sources = {
        reason for kind in shipped(SOURCES) for reason in reasons_of_part("sources.md", kind)
    }
    assert listed_reasons("Sources") == sources


def reasons_of_part(page: str, kind: str) -> set[str]:
    text = section(*place_of(kind, (page,))).text
    borrowed = re.findall(r"those of `(\w+)`", text[text.find("Reasons:") :])
    own = named_reasons(text) - set(borrowed)
    return own.union(*(reasons_of_part(page, other) for other in borrowed))


def named_reasons(text: str) -> set[str]:
    found = re.search(r"^Reasons:(.*?)(?:\n\n|\Z)|Reasons: (.*?)\Z", text, re.S | re.M)
    return set(codes(found[0])) if found else set()


def python_files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def strings(path: Path) -> set[str]:
    """All text constants of a file."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {n.value for n in tree if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def reasons_in(path: Path) -> set[str]:
    """The reasons that a file hands to the classes of `PLACES`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = PLACES.get(node.func.id, len(node.args))
            for argument in node.args[place : place + 1]:
                found |= literals(argument, assigned)
    return found


def literals(node: ast.expr | None, assigned: dict[str, list[ast.expr]]) -> set[str]:
    """The texts that an expression can be, as far as its file tells."""
    inner: list[ast.expr | None] = []
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        inner = [node.body, node.orelse]
    elif isinstance(node, ast.Name):
        inner = [*assigned.get(node.id, [])]
        assigned = {}
    elif isinstance(node, ast.Dict):
        inner = [*node.values]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        inner = [node.func.value, *node.args[1:]] if node.func.attr == "get" else []
    return {text for each in inner for text in literals(each, assigned)}


def error_reasons_in(path: Path) -> set[str]:
    """The reasons of texts such as `context_overflow: prompt has ...`, which replies bring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs)
    found = (re.match(r"([a-z]+(?:_[a-z]+)*): ", str(text.value)) for text in texts)
    return {match[1] for match in found if match}


# Links and commands.


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        if re.match("[a-z]+:", link):
            continue
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    assert [line for line in command_lines(page) if fault_of_command(line)] == []


def command_lines(page: Path) -> list[str]:
    """The commands of this project that a page quotes, without the program's name."""
    text = page.read_text(encoding="utf-8")
    shells = [b.text for s in sections(page) for b in s.blocks() if b.language in {"sh", "console"}]
    lines = [line for shell in shells for line in shell.split("\n")] + codes(prose(text))
    call = re.compile(r"(?:\$ )?(?:\w+=\S+ )*(?:textmill|python run_pipeline\.py) (.+)")
    return [found[1] for line in lines if (found := call.fullmatch(line))]


def fault_of_command(line: str) -> str:
    """What the command line lacks of what `line` uses; empty if nothing."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line.partition(" #")[0])
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        if name not in command.commands and name != "COMMAND":
            return f"no command {name}"
        command = command.commands.get(name, command)
        if name == "COMMAND":
            return ""
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    used = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return " ".join(option for option in used if option not in known)


def test_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    quoted = {
        target
        for page in pages()
        for code in codes(page.read_text(encoding="utf-8"))
        for target in re.findall(r"^make ([a-z]+)$", code)
    }
    assert quoted - targets == set()


# Promises.


@pytest.mark.parametrize("page", [REPOSITORY / "SECURITY.md", REPOSITORY / "docs/reliability.md"])
def test_the_tests_of_promises_exist(page: Path) -> None:
    quoted = [code.split("::") for code in codes(page.read_text(encoding="utf-8")) if "::" in code]
    assert len(quoted) > 15
    missing = [
        f"{path}::{name}"
        for path, name in quoted
        if f"\ndef {name}(" not in (REPOSITORY / path).read_text(encoding="utf-8")
    ]
    assert missing == []
