"""Mistakes in the YAML of a job."""

from mistakes.cases import JOB, NAME_FIX, SECRET, changed, from_job, from_words, model, setting

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
    "empty": from_job("job.yaml: the file is empty; fix: write at least one 'key: value' line", ""),
    "comment alone": from_job(
        "job.yaml: the file is empty; fix: write at least one 'key: value' line", "# nothing\n"
    ),
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
        "job.yaml:2: seed.0.0.0: nested more than 50 deep; "
        "fix: write it flatter, or quote what is text",
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
