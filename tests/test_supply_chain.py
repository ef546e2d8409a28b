"""What is installed is what was looked at: exact versions, hashes of the models, known licences."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from benchmarks.licences import STRONG, lines
from chains.models.embedded import EMBEDDER, WRITER, EmbeddedFile

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_PINNED = {"presidio-analyzer", "rapidocr-onnxruntime", "vllm"}  # extras that no test installs


def key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Name -> version of every line of constraints.txt, each of which is a pin."""
    found: dict[str, str] = {}
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, exact, version = line.partition("==")
        assert exact, line
        assert key(name) not in found, line
        found[key(name)] = version
    return found


def test_every_dependency_has_one_exact_version_within_its_range() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    listed = [*project["dependencies"], *extras]
    known = pins()
    wrong = []
    for wanted in map(Requirement, listed):
        version = known.get(key(wanted.name), "")
        own = wanted.name == project["name"] or key(wanted.name) in NOT_PINNED
        if not own and not (version and wanted.specifier.contains(version, prereleases=True)):
            wrong.append(f"{wanted} is pinned to {version or 'nothing'}")
    assert wrong == []


SOUND = {
    "datasets": "5.2",
    "jinja2": "3.1.6",
    "langchain-core": "1.3.3",
    "langchain-text-splitters": "0.3.9",
    "lxml": "6.1",
    "pypdf": "6.12",
    "ray": "2.54",
    "torch": "2.10",
    "transformers": "5.3",
}
"""The first versions without the weaknesses that this project would meet."""


@pytest.mark.parametrize("name", SOUND)
def test_no_range_reaches_down_to_a_version_with_a_known_weakness(name: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    [wanted] = [w for w in map(Requirement, [*project["dependencies"], *extras]) if w.name == name]
    floors = [Version(part.version) for part in wanted.specifier if part.operator == ">="]
    assert floors, wanted
    assert max(floors) >= Version(SOUND[name])


@pytest.mark.parametrize("file", [WRITER, EMBEDDER], ids=lambda file: file.title)
def test_the_model_packages_are_pinned_by_version_and_hash(file: EmbeddedFile) -> None:
    text = (REPOSITORY / "requirements-models.txt").read_text(encoding="utf-8")
    pin = re.escape(f"{file.package}=={file.version}")
    assert re.search(rf"^{pin} \\\n +--hash=sha256:[0-9a-f]{{64}}$", text, re.MULTILINE)
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_no_dependency_has_a_licence_that_reaches_the_code_of_others() -> None:
    found = {name: text for name, _, text in lines()}
    assert len(found) > 80
    assert "not said" not in found.values()
    assert [n for n, text in found.items() if all(map(STRONG.search, text.split(" OR ")))] == []


@pytest.mark.parametrize(
    ("text", "strong"),
    [
        ("GPL-3.0-only", True),
        ("GNU Affero General Public License v3", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("LGPL-2.1-or-later", False),
        ("GNU Lesser General Public License v3", False),
        ("MIT License", False),
    ],
)
def test_strong_licences_are_told_by_their_names(text: str, strong: bool) -> None:
    assert bool(STRONG.search(text)) == strong
