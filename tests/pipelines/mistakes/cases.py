"""A mistake, the world that it is made in, and short ways to write one down."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

JOB = """\
name: tiny
seed: 3
rows: 4
models: {writer: {model: scripted}}
prompts:
  ask: |
    variables: {topic: A topic.}
    messages:
      - {role: user, content: "Ask about {{ topic }}."}
sources:
  - {kind: records, path: seeds.jsonl}
stages:
  - {kind: generate, model: writer, prompt: ask, adds: question}
exports:
  - {kind: jsonl}
"""
SEEDS = "".join(f'{{"topic": "topic {number}"}}\n' for number in range(6))
PROMPT = """\
variables: {topic: A topic.}
messages:
  - {role: user, content: "Ask about {{ topic }}."}
"""

RUN = ("run", "job.yaml", "--out", "run", "--ledger", "ledger.sqlite")
RESUME = ("resume", "run", "--ledger", "ledger.sqlite")
VALIDATE = ("validate", "job.yaml")


def changed(*pairs: str) -> str:
    """The job with texts replaced, given as old, new, old, new ..."""
    job = JOB
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert job.count(old) == 1, old
        job = job.replace(old, new)
    return job


def model(text: str) -> str:
    return changed("{model: scripted}", text)


def setting(text: str) -> str:
    """The job whose stage has one more setting."""
    return changed("adds: question", f"adds: question, {text}")


def stage(text: str) -> str:
    """The job with one more stage at the end."""
    return changed("exports:\n", f"  - {{{text}}}\nexports:\n")


def source(text: str) -> str:
    return changed("{kind: records, path: seeds.jsonl}", f"{{{text}}}")


Files = dict[str, str | bytes]


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def project(case: "Case", folder: Path) -> Iterator[str]:
    """The files of the case and nothing else."""
    write(folder, case.all_files())
    yield ""


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        line: The error line, without `error: `; "..." stands for anything, ADDRESS for the server.
        words: The command.
        job: The text of job.yaml, ADDRESS as above; None for no such file.
        code: The exit code.
        files: Further files.
        world: Writes the files, and runs what they need around the command; gives the ADDRESS.
    """

    line: str
    words: tuple[str, ...] = RUN
    job: str | bytes | None = JOB
    code: int = 2
    files: Files = field(default_factory=dict)
    world: Callable[["Case", Path], AbstractContextManager[str]] = project

    def all_files(self, address: str = "") -> Files:
        """What lies in the folder before the command."""
        job = self.job.replace("ADDRESS", address) if isinstance(self.job, str) else self.job
        return {"seeds.jsonl": SEEDS, **({} if job is None else {"job.yaml": job}), **self.files}


def from_job(line: str, job: str | bytes | None, **more: object) -> Case:
    return Case(line, job=job, **more)  # type: ignore[arg-type]


def from_prompt(line: str, prompt: str | bytes) -> Case:
    job = changed("prompt: ask", "prompt: ./mine.yaml")
    return Case(line, words=VALIDATE, job=job, files={"mine.yaml": prompt})


def from_words(line: str, *words: str) -> Case:
    return Case(line, words=words)


NAME_FIX = "use letters, digits, '-' and '_', 64 at most, a letter or digit first"
STAGES = "back_translate, balance, ..."  # and those that tests have added
FIND_PATH = "give a path from the working folder, the job's folder or the project's"
TEMPLATE = "a template holds variables, filters, 'if' and 'for'"
SECRET = "sk-very-secret"
