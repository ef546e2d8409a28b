"""Datasets that cannot be written or sent."""

from mistakes.cases import Case, changed, from_job
from mistakes.resuming import EXPORT, damaged, refused
from mistakes.worlds import finished, hub

PUSH = ("push", "run", "--to", "ada/tiny")
REFUSED = {"error": "You have no right to create a dataset"}


def _unfit(line: str, *values: str) -> Case:
    """Values of a column that a file with types cannot hold, which is found when it is written."""
    seeds = "".join(f'{{"topic": "t", "v": {value}}}\n' for value in values)
    words = ("export", "run", "--format", "parquet", "--out", "x")
    job = changed("rows: 4\n", "")
    return Case(line, words=words, job=job, files={"seeds.jsonl": seeds}, world=finished())


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
    "column of two types": _unfit(
        "--set columns: column 'v' holds text in row ... and whole numbers before it; fix: ...",
        "1",
        '"x"',
    ),
    "number of 71 bits": _unfit(
        "--set columns: column 'v' holds a whole number of 71 bits in row ...; fix: ...",
        "1",
        str(2**70),
    ),
    "target exists": damaged(
        "x: exists already; fix: choose another folder, or replace it with --overwrite",
        lambda run: (run.parent / "x").mkdir(),
        EXPORT,
        2,
    ),
    "no such column, exported later": refused(
        "--set columns: unknown column 'questoin'; fix: write 'question' (known: question, topic)",
        *EXPORT,
        "--set",
        "columns=[questoin]",
    ),
    "unknown setting, exported later": refused(
        "--set colums: unknown key 'colums'; fix: write 'columns'",
        *EXPORT,
        "--set",
        "colums=[question]",
    ),
    "half of the rows, exported later": refused(
        "--set splits: found {'train': 0.5}; fix: make the parts add up to 1",
        *EXPORT[:3],
        "hf_dataset",
        *EXPORT[4:],
        "--set",
        "splits.train=0.5",
    ),
    "unknown key": from_job(
        "job.yaml:15: exports.0.name: unknown key 'name'; "
        "fix: known keys: columns, format, kind, labels, shard_mb, shard_rows",
        changed("{kind: jsonl}", "{kind: jsonl, name: ../x}"),
    ),
    "push refused": Case(
        "ada/tiny: the token may not do that: ...; fix: ...",
        words=PUSH,
        job=changed("{kind: jsonl}", "{kind: hf_dataset}"),
        code=4,
        world=hub(lambda asked: (403, REFUSED) if asked == "create" else None),
    ),
    "push of no dataset": refused("run: the run has no dataset to push; fix: ...", *PUSH),
}
