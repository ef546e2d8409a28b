"""What users get wrong, and the line that each mistake is answered with: the table of the tests."""

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


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        line: The error line, without `error: `; "..." stands for anything.
        words: The command.
        job: The text of job.yaml; None for no such file.
        code: The exit code.
        files: Further files.
    """

    line: str
    words: tuple[str, ...] = RUN
    job: str | bytes | None = JOB
    code: int = 2
    files: dict[str, str | bytes] = field(default_factory=dict)


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

JOB_YAML = {
    "missing file": from_job(
        "job.yaml: no such job file; fix: give the path of a job file; shipped ones are in "
        "pipelines/recipes",
        None,
    ),
    "a folder": from_words(
        ".: not a file; fix: give the path of a job file; shipped ones are in pipelines/recipes",
        "run",
        ".",
    ),
    "empty": from_job("job.yaml: the file is empty", ""),
    "comment alone": from_job("job.yaml: the file is empty", "# nothing\n"),
    "list at top": from_job(
        "job.yaml:1: a job is a mapping, found a list; fix: write 'key: value' lines", "- a\n"
    ),
    "scalar at top": from_job(
        "job.yaml:1: a job is a mapping, found the value 'hello'; fix: write 'key: value' lines",
        "hello\n",
    ),
    "tab indent": from_job(
        "job.yaml:11: a tab indents this line; fix: indent with spaces",
        changed("  - {kind: records", "\t- {kind: records"),
    ),
    "duplicate key": from_job(
        "job.yaml:16: seed: duplicate key 'seed' (first on line 2); fix: remove one of them",
        JOB + "seed: 4\n",
    ),
    "unknown key": from_job(
        "job.yaml:2: sead: unknown key 'sead'; fix: write 'seed'", changed("seed:", "sead:")
    ),
    "unknown key of a stage": from_job(
        "job.yaml:13: stages.0.atempts: unknown key 'atempts'; fix: write 'attempts'",
        setting("atempts: 3"),
    ),
    "unknown key that leaves one out": from_job(
        "job.yaml:11: sources.0.pth: unknown key 'pth' (and 1 more); fix: write 'path'",
        changed("path:", "pth:"),
    ),
    "no": from_job(
        "job.yaml:2: lang: 'no' is false to YAML 1.1 and text to YAML 1.2; "
        "fix: quote it: 'no', or write false",
        changed("seed: 3", "lang: no"),
    ),
    "1.10": from_job(
        "job.yaml:2: version: '1.10' would be read as 1.1; fix: quote it: '1.10', or write 1.1",
        changed("seed: 3", "version: 1.10"),
    ),
    "1e3": from_job(
        "job.yaml:3: rows: '1e3' is text to YAML 1.1 and 1000.0 to YAML 1.2; "
        "fix: quote it: '1e3', or write 1000.0",
        changed("rows: 4", "rows: 1e3"),
    ),
    "012": from_job(
        "job.yaml:2: seed: '012' is 10 to YAML 1.1 and 12 to YAML 1.2; "
        "fix: quote it: '012', or write 12",
        changed("seed: 3", "seed: 012"),
    ),
    "date": from_job(
        "job.yaml:1: name: '2026-13-45' is a date to YAML 1.1 and text to YAML 1.2; "
        "fix: quote it: '2026-13-45'",
        changed("tiny", "2026-13-45"),
    ),
    "5000 digits": from_job(
        "job.yaml:2: seed: an integer of 5000 digits does not fit 64 bits; fix: quote it",
        changed("seed: 3", "seed: " + "9" * 5000),
    ),
    "nested 2000 deep": from_job(
        "job.yaml:2: seed.0.0.0: nested more than 50 deep",
        changed("seed: 3", "seed: " + "[" * 2000 + "]" * 2000),
    ),
    "alias bomb": from_job(
        "job.yaml:2: a: anchor '&a'; fix: remove it",
        changed("seed: 3", "a: &a [x, x]\nb: &b [*a, *a]"),
    ),
    "self alias": from_job(
        "job.yaml:2: seed: anchor '&s'; fix: remove it", changed("seed: 3", "seed: &s [*s]")
    ),
    "python tag": from_job(
        "job.yaml:2: seed: tag '!!python/object/apply:os.system'; "
        "fix: remove it; quote what is text",
        changed("seed: 3", "seed: !!python/object/apply:os.system [true]"),
    ),
    "two documents": from_job(
        "job.yaml:16: a second document ('---'); fix: keep one document", JOB + "---\nname: x\n"
    ),
    "latin-1": from_job(
        "job.yaml:1: byte 0xef is not UTF-8; fix: save the file as UTF-8",
        changed("tiny", "tïny").encode("latin-1"),
    ),
    "NUL": from_job("job.yaml:1: a NUL character; fix: remove it", changed("tiny", "ti\0ny")),
    "larger than 1 MiB": from_job(
        "job.yaml: larger than 1 MiB; fix: split the file", JOB + "#" * (1 << 20)
    ),
    "no rows": from_job(
        "job.yaml:3: rows: found 0; fix: input should be greater than or equal to 1",
        changed("rows: 4", "rows: 0"),
    ),
    "rows below zero": from_job(
        "job.yaml:3: rows: found -1; fix: input should be greater than or equal to 1",
        changed("rows: 4", "rows: -1"),
    ),
    "rows beyond 64 bits": from_job(
        "job.yaml:3: rows: an integer of 20 digits does not fit 64 bits; ...",
        changed("rows: 4", "rows: 99999999999999999999"),
    ),
    "block beyond reason": from_job(
        "job.yaml:3: block: found 1000000000; fix: input should be less than or equal to 100000",
        changed("rows: 4", "block: 1000000000"),
    ),
    "rows not a number": from_job(
        "job.yaml:3: rows: '.nan' is not a finite number; ...", changed("rows: 4", "rows: .nan")
    ),
    "half a row": from_job(
        "job.yaml:3: rows: found 2.5; fix: write a whole number", changed("rows: 4", "rows: 2.5")
    ),
    "rows in words": from_job(
        "job.yaml:3: rows: found 'many'; fix: write a whole number",
        changed("rows: 4", "rows: many"),
    ),
    "literal key": from_job(
        "job.yaml:4: models.writer.api_key: found a value that is not shown here; "
        "fix: never write a key into a job: use ${NAME} and set the variable NAME",
        model(f"{{server: 'http://127.0.0.1:9/v1', model: m, api_key: {SECRET}}}"),
    ),
    "unset variable": from_job(
        "job.yaml:4: models.writer.api_key: the environment variable TEXTMILL_UNSET is not set; "
        "fix: export TEXTMILL_UNSET=... before the command",
        model("{server: 'http://127.0.0.1:9/v1', model: m, api_key: '${TEXTMILL_UNSET}'}"),
    ),
    "name that climbs": from_job(
        f"job.yaml:1: name: found '../x'; fix: {NAME_FIX}", changed("tiny", "../x")
    ),
    "name of a device": from_job(
        "job.yaml:1: name: found 'CON'; fix: take another name: on Windows it is a device's",
        changed("tiny", "CON"),
    ),
    "name of 300 letters": from_job(
        f"job.yaml:1: name: found 'xxx...; fix: {NAME_FIX}", changed("tiny", "x" * 300)
    ),
    "no name": from_job("job.yaml: name: missing; fix: add 'name'", changed("name: tiny\n", "")),
    "no sources": from_job(
        "job.yaml: sources: a job needs sources; "
        "fix: add at least one source, such as {kind: documents, path: FOLDER}",
        JOB[: JOB.index("sources")],
    ),
    "sources without dashes": from_job(
        "job.yaml:10: sources: 'sources' is a list, found a mapping; "
        "fix: begin each item with '- '",
        changed("  - {kind: records, path: seeds.jsonl}", "  kind: records\n  path: seeds.jsonl"),
    ),
    "model without braces": from_job(
        "job.yaml:4: models.writer: found 'scripted'; fix: write a mapping, such as {key: value}",
        changed("{writer: {model: scripted}}", "{writer: scripted}"),
    ),
    "plugin that is not there": from_job(
        "job.yaml:16: plugins: plugin 'no_such_plugin' cannot be imported: No module named "
        "'no_such_plugin'; fix: check the module's name and that Python finds it (PYTHONPATH)",
        JOB + "plugins: [no_such_plugin]\n",
    ),
    "plugins as text": from_job(
        "job.yaml:16: plugins: plugins is a list of module names; "
        "fix: write 'plugins: [my_module]'",
        JOB + "plugins: mine\n",
    ),
}

PROMPT_FILES = {
    "missing": from_job(
        "job.yaml:13: stages.0.prompt: prompt './mine.yaml': no such file; fix: check the path",
        changed("prompt: ask", "prompt: ./mine.yaml"),
    ),
    "missing in the library": from_job(
        "job.yaml:13: stages.0.prompt: unknown prompt 'qa/questoin'; fix: write 'qa/question' ...",
        changed("prompt: ask", "prompt: qa/questoin"),
    ),
    "undefined variable": from_prompt(
        "./mine.yaml:3: messages.0.content: undefined variable 'topik'; "
        "fix: write 'topic' (declared: topic)",
        PROMPT.replace("{{ topic }}", "{{ topik }}"),
    ),
    "variable that is no column": from_prompt(
        "job.yaml:13: stages.0.prompt: stage 'question' needs column 'subject'; "
        "fix: columns at this stage: topic",
        PROMPT.replace("topic", "subject"),
    ),
    "undefined variable in the job itself": from_job(
        "job.yaml:9: prompts.ask.messages.0.content: undefined variable 'topik'; "
        "fix: write 'topic' (declared: topic)",
        changed("{{ topic }}", "{{ topik }}"),
    ),
    "syntax": from_prompt(
        "./mine.yaml:3: messages.0.content: template syntax: Unexpected end of template. ...",
        PROMPT.replace("{{ topic }}", "{% if topic %}"),
    ),
    "attribute": from_prompt(
        "./mine.yaml:3: messages.0.content: attribute '__class__': a template reaches items only",
        PROMPT.replace("{{ topic }}", "{{ topic.__class__ }}"),
    ),
    "globals": from_prompt(
        "./mine.yaml:3: messages.0.content: attribute '__globals__': a template reaches items only",
        PROMPT.replace("{{ topic }}", "{{ lipsum.__globals__ }}"),
    ),
    "include": from_prompt(
        f"./mine.yaml:3: messages.0.content: 'include' in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{% include 'x' %}"),
    ),
    "import": from_prompt(
        f"./mine.yaml:3: messages.0.content: 'import' in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{% import 'x' as y %}"),
    ),
    "text without end": from_prompt(
        f"./mine.yaml:3: messages.0.content: arithmetic in a template; fix: {TEMPLATE}",
        PROMPT.replace("{{ topic }}", "{{ 'a' * 10**9 }}"),
    ),
    "empty": from_prompt("./mine.yaml: the file is empty", ""),
    "not UTF-8": from_prompt(
        "./mine.yaml:4: byte 0xff is not UTF-8; fix: save the file as UTF-8",
        PROMPT.encode() + b"# \xff\n",
    ),
    "outside": from_job(
        "job.yaml:13: stages.0.prompt: prompt '../../etc/passwd' lies outside the job's folder and "
        "the current one; fix: copy it into the job's folder",
        changed("prompt: ask", "prompt: ../../etc/passwd"),
    ),
    "invalid schema": from_prompt(
        "./mine.yaml:4: output.schema: not a JSON Schema: type: 'objekt' is not valid ...",
        PROMPT + "output: {form: json, schema: {type: objekt}}\n",
    ),
    "shown but not there": from_words(
        "unknown prompt 'qa/questoin'; fix: write 'qa/question' ...",
        "prompts",
        "show",
        "qa/questoin",
    ),
}

STAGE_SETTINGS = {
    "unknown": from_job(
        f"job.yaml:13: stages.0.kind: unknown stage 'genrate'; "
        f"fix: write 'generate' (known: {STAGES}",
        changed("kind: generate", "kind: genrate"),
    ),
    "without kind": from_job(
        f"job.yaml:13: stages.0: stage has no 'kind'; fix: add 'kind: NAME' with one of: {STAGES}",
        changed("kind: generate, ", ""),
    ),
    "a word": from_job(
        f"job.yaml:14: stages.1: a stage is a mapping, found text; "
        f"fix: write {{kind: NAME}} with one of: {STAGES}",
        changed("exports:\n", "  - dedup\nexports:\n"),
    ),
    "unknown model": from_job(
        "job.yaml:13: stages.0.model: unknown model 'righter'; fix: write 'writer' (known: writer)",
        changed("model: writer", "model: righter"),
    ),
    "no models": from_job(
        "job.yaml:12: stages.0.model: the job has no models; "
        "fix: add a section such as 'models: {writer: {model: embedded}}'",
        changed("models: {writer: {model: scripted}}\n", ""),
    ),
    "unknown strategy": from_job(
        "job.yaml:13: stages.0.decoding.strategy: unknown decoding strategy 'sampel'; "
        "fix: write 'sample' ...",
        setting("decoding: {strategy: sampel}"),
    ),
    "temperature in words": from_job(
        "job.yaml:13: stages.0.decoding.temperature: found 'hot'; fix: write a number",
        setting("decoding: {strategy: sample, temperature: hot}"),
    ),
    "missing column": from_job(
        "job.yaml:14: stages.1: stage 'length' needs column 'questoin'; "
        "fix: columns at this stage: question, topic",
        stage("kind: length, field: questoin, max: 3"),
    ),
    "column of a later stage": from_job(
        "job.yaml:13: stages.0: stage 'length' needs column 'question'; fix: move it behind stage "
        "'question', which adds it (columns at this stage: topic)",
        changed("stages:\n", "stages:\n  - {kind: length, field: question, max: 30}\n"),
    ),
    "two of one name": from_job(
        "job.yaml:14: stages.1: two stages are named 'question'; "
        "fix: give one of them a 'name' of its own",
        stage("kind: generate, model: writer, prompt: ask, adds: question"),
    ),
    "bad regex": from_job(
        "job.yaml:14: stages.1.require.0: '(a' is no regular expression; "
        "fix: mend the expression: missing ) at position 2",
        stage("kind: pattern, field: question, require: ['(a']"),
    ),
    "threshold": from_job(
        "job.yaml:14: stages.1.threshold: found 7; fix: input should be less than or equal to 1",
        stage("kind: dedup, field: question, threshold: 7"),
    ),
    "several columns of a text": from_job(
        "job.yaml:13: stages.0.adds: prompt 'ask' answers with text, not json; "
        "fix: write one column name, or give the prompt 'output: {form: json}'",
        changed("adds: question", "adds: [a, b]"),
    ),
    "every row rejected": from_job(
        "0 of 4 rows, stopped by: budget: seeds; "
        "fix: look at: python run_pipeline.py inspect run --rejected",
        stage("kind: pattern, field: question, require: [zzz]"),
        code=5,
    ),
    "too many rows rejected": from_job(
        "100% of the rows were rejected, the job allows 50%; "
        "fix: look at the reasons, raise max_reject_rate, or give --keep-going",
        stage("kind: pattern, field: question, require: [zzz]").replace(
            "rows: 4", "max_reject_rate: 0.5"
        ),
        code=5,
    ),
}

SOURCES_AND_MODELS = {
    "unknown source": from_job(
        "job.yaml:11: sources.0.kind: unknown source 'record'; fix: write 'records' ...",
        changed("kind: records", "kind: record"),
    ),
    "no such file": from_job(
        f"job.yaml:11: sources.0: no such file or folder: 'nowhere.jsonl'; fix: {FIND_PATH}",
        changed("seeds.jsonl", "nowhere.jsonl"),
        code=3,
    ),
    "no match": from_job(
        f"job.yaml:11: sources.0: no such file or folder: '*.csv'; fix: {FIND_PATH}",
        changed("seeds.jsonl", "'*.csv'"),
        code=3,
    ),
    "path of 300 letters": from_job(
        "job.yaml:11: sources.0: 'xxx...' is not a path: File name too long",
        changed("seeds.jsonl", "x" * 300),
        code=3,
    ),
    "impossible pattern": from_job(
        "job.yaml:11: sources.0: 'a**b/c' is not a path: Invalid pattern: ...",
        changed("seeds.jsonl", "'a**b/c'"),
        code=3,
    ),
    "all empty": from_job(
        "job.yaml:11: sources.0: nothing in 'seeds.jsonl' can be read (1 empty); "
        "first 'seeds.jsonl': no records; fix: mend that, or give another path",
        JOB,
        code=3,
        files={"seeds.jsonl": ""},
    ),
    "a device": from_job(
        "job.yaml:11: sources.0: nothing in '/dev/zero' can be read (1 not_a_file); "
        "first 'zero': a device; fix: mend that, or give another path",
        changed("seeds.jsonl", "/dev/zero"),
        code=3,
    ),
    "UTF-16": from_job(
        "job.yaml:11: sources.0: nothing in 'seeds.jsonl' can be read (1 not_utf8); "
        "first 'seeds.jsonl': UTF-16; JSON Lines is UTF-8; fix: ...",
        JOB,
        code=3,
        files={"seeds.jsonl": SEEDS.encode("utf-16")},
    ),
    "nested 100,000 deep": from_job(
        "job.yaml:11: sources.0: nothing in 'seeds.jsonl' can be read (1 bad_json); "
        "first 'seeds.jsonl:1': nested too deep; fix: ...",
        JOB,
        code=3,
        files={"seeds.jsonl": '{"topic":' * 100_000 + "\n"},
    ),
    "ragged CSV": from_job(
        "job.yaml:11: sources.0: nothing in 'seeds.csv' can be read (2 ragged_row); "
        "first 'seeds.csv:2': 1 cells, the header has 2; fix: ...",
        changed("seeds.jsonl", "seeds.csv"),
        code=3,
        files={"seeds.csv": "topic,b\nx\ny,1,2\n"},
    ),
    "no column of that name": from_job(
        "job.yaml:11: sources.0.columns: no column 'tpoic' in 'seeds.jsonl'; "
        "fix: its columns: topic",
        changed("path: seeds.jsonl", "path: seeds.jsonl, columns: [tpoic]"),
        code=3,
    ),
    "type that cannot be read": from_job(
        "job.yaml:11: sources.0: nothing in 'seeds.xls' can be read (1 unsupported_type); ...",
        changed("seeds.jsonl", "seeds.xls"),
        code=3,
        files={"seeds.xls": "topic\nx\n"},
    ),
    "model that is not there": from_job(
        "nowhere: no such model folder; fix: check the path",
        model("{model: ./nowhere}"),
        code=4,
    ),
    "model of the Hub while offline": from_job(
        "job.yaml:4: models.writer: the model 'no/such-model' is not on this machine, and the run "
        "is offline; fix: run 'hf download no/such-model' once with a network, or name a local "
        "folder as ./NAME",
        model("{model: no/such-model}"),
        code=4,
    ),
    "server that is down": from_job(
        "job.yaml:4: models.writer.server: the server cannot be reached: ...; "
        "fix: start the server, or correct the address",
        model("{server: 'http://127.0.0.1:9/v1', model: m}"),
        code=4,
    ),
    "type of number": from_job(
        "job.yaml:4: models.writer.dtype: found 'int8'; "
        "fix: input should be 'auto', 'bfloat16' or 'float32'",
        model("{model: embedded, dtype: int8}"),
    ),
}

EXPORTS = {
    "unknown": from_job(
        "job.yaml:15: exports.0.kind: unknown exporter 'json'; "
        "fix: write 'jsonl' (known: argilla, axolotl, batch, beir, csv, hf_dataset, jsonl, "
        "llama_factory, lm_eval, parquet)",
        changed("kind: jsonl", "kind: json"),
    ),
    "unknown format": from_job(
        "job.yaml:15: exports.0.format: found 'alpacca'; fix: write 'alpaca' (known: ...",
        changed("kind: jsonl", "kind: hf_dataset, format: alpacca"),
    ),
    "splits": from_job(
        "job.yaml:15: exports.0.splits: found {'train': 0.8, 'test': 0.3}; "
        "fix: make the parts add up to 1",
        changed("kind: jsonl", "kind: hf_dataset, splits: {train: 0.8, test: 0.3}"),
    ),
    "no column of that name": from_job(
        "job.yaml:15: exports.0.columns: unknown column 'questoin'; "
        "fix: write 'question' (known: question, topic)",
        changed("kind: jsonl", "kind: jsonl, columns: [questoin]"),
    ),
}

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
}

CASES = {
    f"{section}: {name}": case
    for section, cases in {
        "job": JOB_YAML,
        "prompt": PROMPT_FILES,
        "stage": STAGE_SETTINGS,
        "source or model": SOURCES_AND_MODELS,
        "export": EXPORTS,
        "command": COMMAND_LINE,
    }.items()
    for name, case in cases.items()
}


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
