"""Names and places by the named entity recognition of presidio-analyzer, an optional package.

recognised("Yesterday Maria Weber flew to Oslo.", ("name",))  ->  [Span(10, 21, "name")]
"""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipelines.stages.safety.spans import Span
from prompts.errors import UsageError

_KINDS = {"PERSON": "name", "LOCATION": "address"}
_LEAST_SCORE = 0.5
_MODEL = "en_core_web_sm"


def check_installed() -> None:
    """Raise where the recogniser cannot be used.

    Installed distributions are looked for, as presidio does, which downloads a model that is none.

    Raises:
        UsageError: The package, or the spaCy model it reads, is not installed.
    """
    for package in ("presidio-analyzer", _MODEL):
        try:
            version(package)
        except PackageNotFoundError as exc:
            fix = f"pip install presidio-analyzer and the spaCy model {_MODEL}, or leave ner out"
            problem = f"the recogniser needs the package {package}"
            raise UsageError(problem, fix=fix, key="ner") from exc


def recognised(text: str, kinds: Iterable[str]) -> list[Span]:
    """Names and places in an English text."""
    wanted = [label for label, kind in _KINDS.items() if kind in set(kinds)]
    results = _analyzer().analyze(text, language="en", entities=wanted)
    return [
        Span(found.start, found.end, _KINDS[found.entity_type])
        for found in sorted(results, key=lambda found: (found.start, -found.end))
        if found.score >= _LEAST_SCORE
    ]


@cache
def _analyzer() -> Any:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": "en", "model_name": _MODEL}]
    settings = {"nlp_engine_name": "spacy", "models": models}
    engine = NlpEngineProvider(nlp_configuration=settings).create_engine()
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
