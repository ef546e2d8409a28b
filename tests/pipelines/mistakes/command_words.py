"""Mistakes on the command line."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mistakes.cases import NAME_FIX, RUN, Case, from_words, write

TAKEN = 47_811


@contextmanager
def listening(case: Case, folder: Path) -> Iterator[str]:
    """Another program on the port."""
    write(folder, case.all_files())
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", TAKEN))
        taken.listen()
        yield str(TAKEN)


COMMAND_LINE = {
    "unknown command": from_words("no such command: runn; fix: write 'run'", "runn", "job.yaml"),
    "unknown command of a group": from_words(
        "no such command: lst; fix: write 'list'", "prompts", "lst"
    ),
    "unknown flag": from_words(
        "no such option: --sed; fix: write '--seed'", "run", "job.yaml", "--sed", "4"
    ),
    "flag without value": from_words("option '--rows' requires an argument; ...", "run", "--rows"),
    "value of a switch": from_words(
        "option '--json' does not take a value; ...", "ls", "--json=yes"
    ),
    "no job": from_words(
        "missing argument 'JOB'; fix: see python run_pipeline.py run --help", "run"
    ),
    "word too many": from_words("got unexpected extra argument(s) (more); ...", *RUN, "more"),
    "--rows 0": from_words("invalid value for '--rows': ...", "run", "job.yaml", "--rows", "0"),
    "--rows many": from_words(
        "invalid value for '--rows': ...", "run", "job.yaml", "--rows", "many"
    ),
    "--set without value": from_words(
        "--set rows: not KEY=VALUE; fix: write --set rows=VALUE", *RUN, "--set", "rows"
    ),
    "--set to nothing": from_words(
        "--set rows: no value; fix: write --set rows=null to leave it out, "
        """or --set rows="''" for an empty text""",
        *RUN,
        "--set",
        "rows=",
    ),
    "--set unknown key": from_words(
        "--set sead: unknown key 'sead'; fix: write 'seed'", *RUN, "--set", "sead=3"
    ),
    "--set unknown nested key": from_words(
        "--set stages.0.attemps: unknown key 'attemps'; fix: write 'attempts'",
        *RUN,
        "--set",
        "stages.0.attemps=3",
    ),
    "--set bad value": from_words(
        "--set rows: found 0; fix: input should be greater than or equal to 1",
        *RUN,
        "--set",
        "rows=0",
    ),
    "--set item that is not there": from_words(
        "--set stages.7.attempts: 'stages' has no item '7'; fix: use a number below 1",
        *RUN,
        "--set",
        "stages.7.attempts=3",
    ),
    "--set below a text": from_words(
        "--set name.x: 'name' holds no keys; fix: write --set name=VALUE",
        *RUN,
        "--set",
        "name.x=3",
    ),
    "--set no YAML": from_words("--set rows: not YAML: ...", *RUN, "--set", "rows=[1"),
    "--set no": from_words(
        "--set lang: 'no' is false to YAML 1.1 and text to YAML 1.2; ...", *RUN, "--set", "lang=no"
    ),
    "--set unknown prompt": from_words(
        "--set stages.0.prompt: unknown prompt 'aks'; fix: write 'ask' ...",
        *RUN,
        "--set",
        "stages.0.prompt=aks",
    ),
    "--out a file": from_words(
        "seeds.jsonl: not a directory; fix: give another path",
        "run",
        "job.yaml",
        "--out",
        "seeds.jsonl",
    ),
    "--out below a file": from_words(
        "seeds.jsonl/x: not a directory; fix: give another path",
        "run",
        "job.yaml",
        "--out",
        "seeds.jsonl/x",
    ),
    "--out the job's own folder": from_words(
        ".: the folder exists and is not a run; fix: give --out a new or empty folder",
        "run",
        "job.yaml",
        "--out",
        ".",
    ),
    "--out below a device": from_words(
        "/dev/null/x: not a directory; fix: give another path",
        "run",
        "job.yaml",
        "--out",
        "/dev/null/x",
    ),
    "--out of 300 letters": from_words(
        "yyy...: file name too long; fix: give another path", "run", "job.yaml", "--out", "y" * 300
    ),
    "--ledger a folder": from_words(
        "invalid value for '--ledger': file '.' is a directory; ...", *RUN[:-1], "."
    ),
    "run that is not there": from_words(
        "...nowhere: no such run; fix: python run_pipeline.py ls lists the runs",
        "resume",
        "nowhere",
    ),
    "run that climbs": from_words(
        "../x: no such run; fix: python run_pipeline.py ls lists the runs", "inspect", "../x"
    ),
    "run of 300 letters": from_words(
        "xxx...: file name too long; fix: give another path", "inspect", "x" * 300
    ),
    "the user's folder for a run": from_words(
        ".: no such run; fix: python run_pipeline.py ls lists the runs", "resume", "."
    ),
    "folder that is not there": from_words("nowhere: no such folder; ...", "ls", "nowhere"),
    "init that climbs": from_words(
        f"'../x' is not fit for a name; fix: {NAME_FIX}", "init", "../x"
    ),
    "init of a device": from_words(
        "'Con' is not fit for a name; fix: take another name: on Windows it is a device's",
        "init",
        "Con",
    ),
    "init over a file": from_words(
        "job.yaml: exists already; fix: take another name", "init", "job"
    ),
    "export in no format": from_words(
        "--format: unknown exporter or format 'jsonlines'; fix: write 'jsonl' (exporters: argilla, "
        "axolotl, batch, beir, csv, hf_dataset, jsonl, llama_factory, lm_eval, parquet; formats: "
        "text, prompt-only, prompt-completion, messages, conversational-prompt-only, "
        "conversational-prompt-completion, preference, implicit-preference, "
        "conversational-preference, unpaired-preference, stepwise, instruction, alpaca, sharegpt, "
        "openai, pairs, triplets, scored-pairs, classification, setfit, ragas)",
        "export",
        "run",
        "--format",
        "jsonlines",
        "--out",
        "x",
    ),
    "--host without a token": from_words(
        "--host: 0.0.0.0 can be reached from other machines; "
        "fix: give --token with 16 characters or more, or leave out --host",
        "lab",
        "job.yaml",
        "--host",
        "0.0.0.0",
    ),
    "port that is taken": Case(
        "--port: port ADDRESS is taken; fix: give --port ...",
        words=("lab", "job.yaml", "--port", str(TAKEN)),
        world=listening,
    ),
}
