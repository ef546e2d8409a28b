r"""The one adapter for `langchain_community`: any of its document loaders, by name.

    for document in load_documents("CSVLoader", {"file_path": "faq.csv"}):
        document.page_content      # "q: When?\na: Now."
        document.metadata          # {"source": "faq.csv", "row": 0}

The package is no longer maintained and says so whenever it is imported. It is imported here alone,
when a loader is asked for.
"""

import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from prompts.errors import SourceError, UsageError, nearest

LOADERS = "langchain_community.document_loaders"

_NAME = re.compile(rf"(?:(?P<module>{re.escape(LOADERS)}(?:\.[a-z]\w*)*)\.)?(?P<name>[A-Z]\w*)")


def find_loader(name: str) -> type[BaseLoader]:
    """The loader class called `TextLoader` or `langchain_community.document_loaders.TextLoader`.

    Raises:
        UsageError: It lies outside of that package, is not there, is no loader, or needs a package
            that is not installed.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        fix = f"write a class of {LOADERS}, such as TextLoader"
        raise UsageError(f"'{name}' names no document loader", fix=fix)
    try:
        package = _package()
        module = import_module(parts["module"]) if parts["module"] else package
        found = getattr(module, parts["name"], None)
    except ImportError as exc:
        raise _lacks(name, exc) from exc
    if not (inspect.isclass(found) and issubclass(found, BaseLoader)):
        guess = nearest(parts["name"], list(package.__all__))
        fix = f"write '{guess}'" if guess else f"write a class of {LOADERS}"
        raise UsageError(f"unknown document loader '{name}'", fix=fix)
    return found


def load_documents(name: str, options: Mapping[str, Any]) -> Iterator[Document]:
    """The documents of a loader, as it gives them.

    Args:
        name: As for `find_loader`.
        options: Keyword arguments of the class.

    Raises:
        UsageError: As `find_loader`, or the class does not take these options.
        SourceError: The loader failed; also in the middle.
    """
    loader = find_loader(name)
    try:
        inspect.signature(loader).bind(**options)
    except TypeError as exc:
        fix = f"its options: {', '.join(inspect.signature(loader).parameters)}"
        raise UsageError(f"loader '{name}': {exc}", fix=fix) from exc
    try:
        yield from loader(**options).lazy_load()
    except ImportError as exc:
        raise _lacks(name, exc) from exc
    except Exception as exc:
        found = f"{type(exc).__name__}: {exc}"
        raise SourceError(f"loader '{name}' failed: {found}", fix="check its options") from exc


def _package() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`langchain-community` is being sunset", DeprecationWarning
        )
        from langchain_community import document_loaders
    return document_loaders


def _lacks(name: str, exc: ImportError) -> UsageError:
    found = str(exc).split("\n")[0]
    fix = f"pip install {exc.name}" if exc.name else "install what it asks for"
    return UsageError(f"loader '{name}' cannot be used: {found}", fix=fix)
