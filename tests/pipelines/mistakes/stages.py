"""Mistakes in the settings of stages."""

from mistakes.cases import STAGES, changed, from_job, setting, stage

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
