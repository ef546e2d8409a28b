"""Fixtures of all tests: no Hub, and data sets that are not part of the project."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What a test sets for its process, such as `--offline` does, is gone behind it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of data sets and models for tests; the test skips where there is none."""
    folder = os.environ.get("TEXTMILL_TEST_DATA")
    if not folder:
        pytest.skip("TEXTMILL_TEST_DATA is not set")
    return Path(folder)
