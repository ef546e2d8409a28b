"""`init`: a job of one's own to begin with: the job, its prompt and a few seed rows."""

import shlex
from pathlib import Path

from pipelines.console import show
from pipelines.files import write_atomically
from pipelines.job import fault_of_name
from prompts.errors import UsageError, shorten

_JOB = """\
name: {name}
seed: 1
rows: 10
models:
  writer: {{model: embedded}}          # or a Hugging Face Hub id, a folder, a .gguf file
sources:
  - {{kind: records, path: {name}/seeds.jsonl}}
stages:
  - {{kind: generate, model: writer, prompt: ./{name}/prompt.yaml, adds: text,
     decoding: {{strategy: sample, temperature: 0.8, top_p: 0.95, max_tokens: 80}},
     allow_cut: true}}
  - {{kind: clean, field: text}}
  - {{kind: length, field: text, unit: words, min: 8, max: 60}}
  - {{kind: dedup, field: text, method: minhash, threshold: 0.7}}
exports:
  - {{kind: hf_dataset, format: rows, columns: [topic, text],
     splits: {{train: 0.8, test: 0.2}}}}
"""

_PROMPT = """\
notes: Writes a short description of a topic.
variables:
  topic: What to write about.
messages:
  - {role: user, content: "Write two plain sentences about {{ topic }}."}
"""

_SEEDS = "".join(
    f'{{"topic": "{topic}"}}\n'
    for topic in ("a lighthouse", "sourdough bread", "night trains", "garden snails", "old maps")
)


def write_starter(name: str, folder: Path) -> None:
    """Write the job and its files.

    Raises:
        UsageError: The name is not fit for a file, or one of the files exists.
    """
    fault = fault_of_name(name)
    if fault:
        raise UsageError(f"'{shorten(name)}' is not fit for a name", fix=fault)
    job = folder / f"{name}.yaml"
    files = {
        job: _JOB.format(name=name),
        folder / name / "prompt.yaml": _PROMPT,
        folder / name / "seeds.jsonl": _SEEDS,
    }
    for path in files:
        if path.exists():
            raise UsageError("exists already", fix="take another name", file=path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        show(str(path))
    show(f"run it with: python run_pipeline.py run {shlex.quote(str(job))}")
