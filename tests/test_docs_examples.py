"""Every example of the documentation works: YAML is read and checked, Python and jobs are run."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import DOCS, REPOSITORY, Block, Section, pages, section, sections

from chains.decoding import STRATEGIES
from pipelines.exporters import EXPORTERS
from pipelines.job import Job, load_job
from pipelines.lab.tuning_space import read_space
from pipelines.sources import SOURCES
from pipelines.stages import STAGES
from prompts.prompt import Prompt

Example = tuple[Section, Block]

ROW = {
    "id": 7, "q": "When?", "topic": "tea", "context": "Tea is hot.", "question": "What is hot?",
    "answer": "Tea.", "text": "Tea is hot.", "questions": ["Why?"], "label": "good",
    "sentence": "A gem.", "chosen": "Tea.", "rejected": "Ice.", "prompt": "Ask.",
    "passages": [{"text": "Tea is hot."}], "aspect": "price", "instruction": "Name a drink.",
    "related": {"text": "Ice is cold.", "document": "ice.md", "start": 0, "end": 12},
}  # fmt: skip
MODELS = {name: {"model": "scripted"} for name in ("writer", "en_fr", "fr_en", "detector", "nli")}
SECTIONS = {"sources.md": "sources", "stages.md": "stages", "exports.md": "exports"}
"""Pages -> the sections of a job that their examples are items of."""


def examples(language: str) -> list[Example]:
    """The fenced blocks of a language, but for the files of whole jobs."""
    found = [(s, b) for page in pages() for s in sections(page) for b in s.blocks()]
    return [(s, b) for s, b in found if b.language == language and not b.name]


def job_sections() -> list[Section]:
    """The sections that show a whole job with its files."""
    found = [s for page in pages() for s in sections(page)]
    return [s for s in found if any(block.name == "job.yaml" for block in s.blocks())]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name, as the working folder."""
    for folder in ("handbook", "reviews", "gsm8k", "benchmark"):
        (tmp_path / folder).mkdir()
    (tmp_path / "handbook/leave.md").write_text("# Leave\n\nTwenty days a year.\n")
    sets = ("gsm8k/test.jsonl", "benchmark/test.jsonl")
    for name in ("questions.jsonl", "rows.jsonl", "answers.jsonl", "reviews/train.jsonl", *sets):
        (tmp_path / name).write_text(json.dumps(ROW) + "\n")
    (tmp_path / "faq.csv").write_text("q,a\nWhen?,Now.\n")
    (tmp_path / "reviews.csv").write_text(f"label,year,text\ngood,2024,{'tea ' * 9}\n")
    (tmp_path / "examples.jsonl").write_text(json.dumps(ROW) + "\n")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("CREATE TABLE faq AS SELECT 1 AS id, 'Tea is hot.' AS text")
        shop.commit()
    for module in ("my_module", "my_parts"):
        (tmp_path / f"{module}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", examples("yaml"), ids=lambda e: str(e[0]))
def test_yaml_examples_are_read_and_checked(
    example: Example, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, block = example
    for variable in re.findall(r"\$\{(\w+)\}", block.text):
        monkeypatch.setenv(variable, "a-key")
    data = yaml.safe_load(block.text)
    if isinstance(data, list):
        for part in data:
            check_job(desk, {section_of(part, place): [part]})
    elif "messages" in data:
        prompt = Prompt.parse("example", block.text)
        assert prompt.warnings() == []
    elif "space" in data:
        (desk / "space.yaml").write_text(block.text, encoding="utf-8")
        assert read_space(desk / "space.yaml", {}).space
    elif "decoding" in data:
        STRATEGIES.build(data["decoding"])
    else:
        assert set(data) <= set(Job.model_fields)
        check_job(desk, data)


def section_of(part: dict[str, Any], place: Section) -> str:
    """The section of a job that a list item is from: the page says it, or its kind does."""
    known: dict[str, Any] = {"sources": SOURCES, "stages": STAGES, "exports": EXPORTERS}
    kinds = (name for name, registry in known.items() if part["kind"] in registry.names())
    return SECTIONS.get(place.page.name) or next(kinds)


def check_job(desk: Path, data: dict[str, Any]) -> None:
    """Check a job whose missing sections are such as an example takes for granted."""
    known = {"name": "x", "models": MODELS, "sources": [{"kind": "records", "path": "rows.jsonl"}]}
    file = desk / "job.yaml"
    file.write_text(yaml.safe_dump({**known, **data}, sort_keys=False), encoding="utf-8")
    load_job(file).check()


@pytest.mark.parametrize("kind", ["sources", "stages", "exports", "strategies"])
def test_every_part_has_an_example(kind: str) -> None:
    shown = [block.text for _, block in examples("yaml")]
    registries = {"sources": SOURCES, "stages": STAGES, "exports": EXPORTERS}
    registry: Any = registries.get(kind, STRATEGIES)
    for name in registry.names():
        if registry.find(name).__module__.split(".")[0] in {"pipelines", "chains"}:
            assert any(f"{registry.tag}: {name}" in text for text in shown), name


@pytest.mark.parametrize("place", job_sections(), ids=str)
def test_whole_jobs_run_and_give_what_is_shown(
    place: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in place.blocks():
        if block.name:
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    words = ["run", "job.yaml", "--out", "run", "--json"]
    if "model: embedded" in (tmp_path / "job.yaml").read_text(encoding="utf-8"):
        monkeypatch.syspath_prepend(REPOSITORY / "tests/chains")
        words += ["--set", f"models.writer.model={tiny_model(tmp_path)}"]
    result = run_python(tmp_path, str(REPOSITORY / "run_pipeline.py"), *words)
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "run/rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line)["data"] for line in lines]
    shown = [block.text for block in place.blocks() if block.language == "jsonl"]
    if shown:
        assert rows == [json.loads(line) for line in shown[0].splitlines()]
    else:
        assert len(rows) == json.loads(result.stdout)["rows"] > 0


def tiny_model(folder: Path) -> Path:
    """A model of random weights: loaded at once, and as good for an example."""
    from tiny_models import save_causal

    made: Path = save_causal(folder / "tiny")
    return made


@pytest.mark.parametrize(
    "example", [e for e in examples("python") if e[0].page.parent == DOCS], ids=lambda e: str(e[0])
)
def test_python_examples_print_what_is_shown(example: Example, tmp_path: Path) -> None:
    place, block = example
    shown = [b.text for b in place.blocks() if b.language == "text"]
    result = run_python(tmp_path, "-c", block.text, path=REPOSITORY)
    assert (result.stdout, result.stderr) == (shown[0], "")


def run_python(
    folder: Path, *words: str, path: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """A Python process in `folder`, which finds the modules there, or those at `path`."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path or folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_pages_of_this_folder_are_linked_from_each_other() -> None:
    """A page that nothing leads to is not found."""
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert [page.name for page in DOCS.glob("*.md") if page.name not in text] == []


def test_extending_has_an_example_of_every_sort() -> None:
    table = section("extending.md").table()
    bases = {base for row in table for base in re.findall(r"`(\w+)`", row["base class"])}
    text = (DOCS / "extending.md").read_text(encoding="utf-8")
    assert {base for base in bases if f"({base})" not in text} <= {"Stage"}
