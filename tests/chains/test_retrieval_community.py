import subprocess
import sys
from pathlib import Path

import pytest

from chains.retrieval.community import find_loader, load_documents
from prompts.errors import SourceError, UsageError


@pytest.mark.parametrize(
    "name",
    [
        "TextLoader",
        "langchain_community.document_loaders.TextLoader",
        "langchain_community.document_loaders.text.TextLoader",
    ],
)
def test_a_loader_is_found_by_any_of_its_names(name: str) -> None:
    assert find_loader(name).__name__ == "TextLoader"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("os.system", "names no document loader"),
        ("subprocess.Popen", "names no document loader"),
        ("langchain_community.document_loaders.text.open", "names no document loader"),
        ("langchain_community.llms.OpenAI", "names no document loader"),
        ("langchain_community.document_loaders...TextLoader", "names no document loader"),
        ("langchain_community.document_loaders.text.Path", "unknown document loader"),
        ("langchain_community.document_loaders.Blob", "unknown document loader"),
        ("langchain_community.document_loaders.nothing.TextLoader", "cannot be used"),
        ("TextLoder", "write 'TextLoader'"),
    ],
)
def test_only_loaders_of_the_package_are_taken(name: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        find_loader(name)


def test_documents_are_read(tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text("q,a\nWhen?,Now.\nWho?,You.\n", encoding="utf-8")
    documents = list(load_documents("CSVLoader", {"file_path": str(file)}))
    assert [d.page_content for d in documents] == ["q: When?\na: Now.", "q: Who?\na: You."]
    assert documents[1].metadata == {"source": str(file), "row": 1}


@pytest.mark.parametrize(
    ("name", "options", "kind", "problem"),
    [
        ("TextLoader", {"path": "x"}, UsageError, "its options: file_path"),
        ("TextLoader", {}, UsageError, "file_path"),
        ("TextLoader", {"file_path": "no such file"}, SourceError, "RuntimeError: Error loading"),
        ("BSHTMLLoader", {"file_path": "x.html"}, UsageError, "beautifulsoup4|bs4"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    name: str, options: dict[str, str], kind: type[Exception], problem: str
) -> None:
    with pytest.raises(kind, match=problem):
        list(load_documents(name, options))


def test_the_package_is_imported_when_asked_for_and_without_its_warning() -> None:
    code = (
        "import sys, warnings\n"
        "warnings.simplefilter('error')\n"
        "import chains.retrieval.community as adapter\n"
        "before = 'langchain_community' in sys.modules\n"
        "adapter.find_loader('TextLoader')\n"
        "print(before, 'langchain_community' in sys.modules, len(warnings.filters) > 0)\n"
        "warnings.warn('`langchain-community` is being sunset', DeprecationWarning)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "False True True\n"
    assert "DeprecationWarning" in result.stderr, "the filter must not outlive the import"
