"""What users get wrong, and the line that each mistake is answered with: the table of the tests.

CASES["job: tab indent"].line   # "job.yaml:11: a tab indents this line; fix: indent with spaces"
"""

from mistakes.cases import (
    FIND_PATH,
    JOB,
    PROMPT,
    RESUME,
    RUN,
    SECRET,
    SEEDS,
    Case,
    changed,
    stage,
    write,
)
from mistakes.command_words import COMMAND_LINE
from mistakes.documents import DOCUMENTS
from mistakes.elsewhere import ELSEWHERE
from mistakes.exporting import EXPORTS
from mistakes.job_files import JOB_YAML
from mistakes.models import MODELS
from mistakes.prompt_files import PROMPT_FILES
from mistakes.resuming import RESUMING
from mistakes.sources import SOURCES
from mistakes.stages import STAGE_SETTINGS

CASES = {
    f"{section}: {name}": case
    for section, cases in {
        "job": JOB_YAML,
        "prompt": PROMPT_FILES,
        "source": {**SOURCES, **DOCUMENTS, **ELSEWHERE},
        "model": MODELS,
        "stage": STAGE_SETTINGS,
        "resume": RESUMING,
        "export": EXPORTS,
        "command": COMMAND_LINE,
    }.items()
    for name, case in cases.items()
}

__all__ = [
    "CASES",
    "FIND_PATH",
    "JOB",
    "PROMPT",
    "RESUME",
    "RUN",
    "SECRET",
    "SEEDS",
    "Case",
    "changed",
    "stage",
    "write",
]
