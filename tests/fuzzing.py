"""How many inputs a fuzz test makes: a few, the same each time; TEXTMILL_FUZZ times as many, new.

TEXTMILL_FUZZ=100 python -m pytest tests/chains/test_fuzz_loading.py
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("TEXTMILL_FUZZ", "1"))


def fuzzed(examples: int) -> settings:
    """So many examples in an ordinary run of the tests, which finds the same each time."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
