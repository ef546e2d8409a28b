"""Sources that cannot be read."""

from mistakes.cases import FIND_PATH, JOB, SEEDS, changed, from_job

SOURCES = {
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
        f"job.yaml:11: sources.0: 'xxx...' is not a path: File name too long; fix: {FIND_PATH}",
        changed("seeds.jsonl", "x" * 300),
        code=3,
    ),
    "impossible pattern": from_job(
        "job.yaml:11: sources.0: ...'a**b/c'...",  # from Python 3.13 on a possible one
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
}
