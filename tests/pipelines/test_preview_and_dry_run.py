import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Ended, textmill
from jobs import job_data, prompt_text, write_job
from mistakes import write

from pipelines.files import read_jsonl

LEDGER = ("--ledger", "ledger.sqlite")
PREVIEW = ("preview", "job.yaml", *LEDGER)
DRY_RUN = ("run", "job.yaml", "--dry-run", *LEDGER)


def stages(first: dict[str, Any] | None = None, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """The two model stages, the first with further settings, and more behind them."""
    ask, answer = job_data()["stages"]
    return [{**ask, **(first or {})}, answer, *more]


def counted(ended: Ended) -> dict[str, dict[str, int]]:
    """The figures of each stage."""
    assert ended.code == 0, ended.err
    figures: dict[str, dict[str, int]] = json.loads(ended.out)["stages"]
    return figures


def known_and_paid(ended: Ended) -> dict[str, tuple[int, int, int]]:
    return {
        name: (found["known"], found["paid"], found["assumed"])
        for name, found in counted(ended).items()
    }


def test_preview_tells_each_row_s_story_from_prompt_to_verdict(tmp_path: Path) -> None:
    short = {"kind": "length", "field": "answer", "unit": "words", "max": 20}
    write_job(tmp_path, job_data(stages=stages(None, short)))
    ended = textmill(tmp_path, *PREVIEW, "-n", "12")
    assert ended.code == 0
    stories = ended.out.split("\n\n=== ")
    assert len(stories) == 12
    textmill(tmp_path, "run", "job.yaml", "--out", "run", *LEDGER)
    rows = {row["id"]: row for row in read_jsonl(tmp_path / "run/rows.jsonl")}
    rejected = {row["id"]: row for row in read_jsonl(tmp_path / "run/rejected.jsonl")}
    verdicts = set()
    for number, story in enumerate(stories):
        lines = story.rstrip().split("\n")
        id_ = lines[0].split()[-1]
        record = rows.get(id_) or rejected[id_]
        data, tokens = record["data"], [event["tokens"] for event in record["history"][1:]]
        verdicts.add(id_ in rows)
        assert lines[0].removeprefix("=== ") == f"row {number + 1} of 12: {number} {id_}"
        assert lines[1:-1] == [
            f"    topic    | {data['topic']}",
            "",
            "--- question (generate)",
            f"    user     | Ask about {data['topic']}.",
            f"    reply    | {data['question']}",
            f"             [writer: stop, {tokens[0][0]} tokens in, {tokens[0][1]} out]",
            "    accepted",
            f"    question | {data['question']}",
            "",
            "--- answer (generate)",
            f"    user     | Answer {data['question']}",
            f"    reply    | {data['answer']}",
            f"             [writer: stop, {tokens[1][0]} tokens in, {tokens[1][1]} out]",
            "    accepted",
            f"    answer   | {data['answer']}",
            "",
            "--- length",
        ]
        if id_ in rows:
            assert lines[-1] == "    accepted"
        else:
            assert re.fullmatch(r"    rejected: too_long \(.*length: \d+, .*max: 20\)", lines[-1])
    assert verdicts == {True, False}


def test_preview_shows_worked_examples_once(tmp_path: Path) -> None:
    examples = [
        {"values": {"topic": "salt"}, "reply": "Why salt?"},
        {"values": {"topic": "ice"}, "reply": "Why ice?"},
    ]
    ask = json.dumps({**yaml.safe_load(job_data()["prompts"]["ask"]), "examples": examples})
    write_job(tmp_path, job_data(prompts={**job_data()["prompts"], "ask": ask}))
    ended = textmill(tmp_path, *PREVIEW, "-n", "3")
    assert ended.code == 0
    assert [ended.out.count(f"| Why {what}?") for what in ("salt", "ice")] == [1, 1]
    assert ended.out.count("[4 messages as above]\n    user     | Ask about ") == 2


def test_preview_pays_no_call_twice_and_a_run_none_that_it_paid(tmp_path: Path) -> None:
    write_job(tmp_path, job_data())
    first = textmill(tmp_path, *PREVIEW)
    assert first.err.splitlines()[-1] == (
        "3 accepted; calls: 6, 0 of them from the ledger; nothing was written but the ledger"
    )
    second = textmill(tmp_path, *PREVIEW)
    assert second.out == first.out
    assert "calls: 6, 6 of them from the ledger" in second.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.yaml", "ledger.sqlite"]
    run = textmill(tmp_path, "run", "job.yaml", "--out", "run", *LEDGER, "--rows", "3", "--json")
    assert json.loads(run.out)["from_ledger"] == 6


def test_preview_shows_every_reply_and_every_try(tmp_path: Path) -> None:
    several = {"decoding": {"strategy": "sample", "n": 2}}
    impossible = {"length": {"unit": "words", "min": 200}, "attempts": 3}
    both = stages(several)
    both[1] |= impossible
    write_job(tmp_path, job_data(stages=both))
    lines = textmill(tmp_path, *PREVIEW, "-n", "1").out.split("\n")
    question, answer = lines.index("--- question (generate)"), lines.index("--- answer (generate)")
    asked = lines[question:answer]
    assert [line for line in asked if "| Ask about" in line] == [asked[1]]  # once for both replies
    assert sum(line.startswith("    reply    | ") for line in asked) == 2
    verdicts = [line for line in asked if line.startswith("    accepted")]
    assert verdicts == ["    accepted 0.0", "    accepted 0.1"]
    tried = lines[answer:]
    assert sum(line.startswith("    reply    | ") for line in tried) == 2 * 3
    assert len({line for line in tried if line.startswith("    reply    | ")}) == 2 * 3
    refused = [line for line in tried if line.startswith("    rejected")]
    assert [line.split(" (")[0] for line in refused] == [
        "    rejected 0.0: too_short",
        "    rejected 0.1: too_short",
    ]


def test_preview_shows_why_a_model_gave_no_reply(tmp_path: Path) -> None:
    write(tmp_path, {"seeds.jsonl": json.dumps({"topic": "word " * 9000}) + "\n"})
    write_job(tmp_path, job_data(sources=[{"kind": "records", "path": "seeds.jsonl"}]))
    out = textmill(tmp_path, *PREVIEW).out
    overflow = r"prompt has \d+ tokens, the window holds 8192"
    assert re.search(rf"\n    no reply \| context_overflow: {overflow}\n", out)
    assert re.search(rf"\n    rejected: context_overflow \(found: {overflow}\)\n", out)
    assert "--- answer" not in out


def test_preview_lists_what_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"seeds.jsonl": '{bad\n{"topic": "tea"}\n{worse\n'})
    write_job(tmp_path, job_data(sources=[{"kind": "records", "path": "seeds.jsonl"}]))
    out = textmill(tmp_path, *PREVIEW).out
    assert re.findall(r"=== .*\n    rejected: \w+", out) == [
        "=== not readable: seeds.jsonl:1\n    rejected: bad_json",
        "=== not readable: seeds.jsonl:3\n    rejected: bad_json",
    ]
    assert "=== row 1 of 1: 1 " in out


ORDERS = "\x1b[2J\x9b31m\u202e\r\nrejected: not true\b"


def test_no_text_gives_orders_to_the_terminal_or_passes_for_a_line_of_ours(tmp_path: Path) -> None:
    job = job_data(models={"writer": {"model": "scripted", "replies": [f"Well. {ORDERS}"]}})
    job["sources"] = [{"kind": "records", "path": "seeds.jsonl"}]
    job["prompts"]["ask"] = prompt_text("Say: {{ topic }}", ["topic"])
    write(tmp_path, {"seeds.jsonl": json.dumps({"topic": ORDERS}) + "\n"})
    write_job(tmp_path, job)
    commands: list[tuple[str, ...]] = [PREVIEW, DRY_RUN]
    commands += [("run", "job.yaml", "--out", "run", *LEDGER)]
    for words in commands:
        ended = textmill(tmp_path, *words)
        assert ended.code == 0, ended.err
    for words in (PREVIEW, DRY_RUN, ("inspect", "run"), ("inspect", "run", "0")):
        out = textmill(tmp_path, *words).out
        assert "rejected: not true" in out
        assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out) == []
        assert not re.search(r"(?m)^ *rejected: not true", out)
    shown = textmill(tmp_path, "inspect", "run", "0", "--json").out
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown) == []
    assert json.loads(shown)["data"]["topic"] == ORDERS  # escaped, not lost


def test_dry_run_counts_what_the_next_run_pays(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(stages=stages({"decoding": {"strategy": "sample", "n": 3}})))
    forecast = textmill(tmp_path, *DRY_RUN, "--json")
    # Block of 8 rows, three replies each; what they will be is unknown, so the rest is assumed.
    assert known_and_paid(forecast) == {"question": (0, 24, 0), "answer": (0, 0, 24)}
    assert forecast.err == ""
    run = ("run", "job.yaml", "--out", "run", *LEDGER, "--set", "budget.calls=1", "--json")
    assert json.loads(textmill(tmp_path, *run).out)["calls"] == 48
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json")) == {
        "question": (24, 0, 0),
        "answer": (24, 0, 0),
    }
    say = json.dumps(prompt_text("Say {{ question }}", ["question"]))
    edited = ("--set", f"prompts.reply={say}")
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json", *edited)) == {
        "question": (24, 0, 0),
        "answer": (0, 24, 0),
    }


def test_dry_run_follows_rows_through_retries_and_filters(tmp_path: Path) -> None:
    job = job_data(stages=stages({"length": {"unit": "words", "min": 12}, "attempts": 2}))
    job["stages"].insert(1, {"kind": "pattern", "field": "question", "forbid": ["^[A-F]"]})
    write_job(tmp_path, job)
    run = ("run", "job.yaml", "--out", "run", *LEDGER, "--set", "budget.calls=1", "--json")
    paid = json.loads(textmill(tmp_path, *run).out)
    counts = {entry["stage"]: entry for entry in paid["stages"]}
    forecast = known_and_paid(textmill(tmp_path, *DRY_RUN, "--json"))
    assert forecast["answer"] == (counts["pattern"]["out"], 0, 0)
    assert 0 < counts["pattern"]["out"] < 8
    assert forecast["question"] == (paid["calls"] - counts["pattern"]["out"], 0, 0)
    assert forecast["question"][0] > 8  # some were asked twice


def test_dry_run_counts_equal_calls_once(tmp_path: Path) -> None:
    greedy = {"decoding": {"strategy": "greedy"}}
    topics = [{"kind": "records", "path": "seeds.jsonl"}]
    write(tmp_path, {"seeds.jsonl": '{"topic": "tea"}\n{"topic": "tea"}\n{"topic": "rain"}\n'})
    write_job(tmp_path, job_data(sources=topics, stages=stages(greedy)[:1]))
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json")) == {"question": (1, 2, 0)}
    run = ("run", "job.yaml", "--out", "run", *LEDGER, "--json")
    done = json.loads(textmill(tmp_path, *run).out)
    assert (done["calls"], done["from_ledger"]) == (3, 1)


@pytest.mark.parametrize("block", [1, 3])
def test_dry_run_is_about_the_first_block(tmp_path: Path, block: int) -> None:
    write_job(tmp_path, job_data(block=block))
    ended = textmill(tmp_path, *DRY_RUN, "--json")
    assert json.loads(ended.out)["block"] == block
    assert known_and_paid(ended) == {"question": (0, block, 0), "answer": (0, 0, block)}


def test_dry_run_shows_prompts_figures_and_what_is_guessed(tmp_path: Path) -> None:
    write_job(tmp_path, job_data())
    [topic] = re.findall(r"topic    \| (.*)", textmill(tmp_path, *PREVIEW, "-n", "1").out)
    ended = textmill(tmp_path, *DRY_RUN)
    tokens = counted(textmill(tmp_path, *DRY_RUN, "--json"))["question"]["prompt_tokens"]
    assert ended.out.startswith(
        "=== question (generate)\n"
        f"    user     | Ask about {topic}.\n"
        f"             8 calls: 1 known, 7 paid, 0 assumed; {tokens} prompt tokens\n"
        "\n"
        "=== answer (generate)\n"
        "    user     | Answer "
    )
    assert ended.out.endswith(" 8 calls: 1 known, 0 paid, 7 assumed; 0 prompt tokens\n\n")
    assert tokens == 7 * len(["Ask", "about", "topic", "17", "."])
    assert ended.err == (
        "'assumed' counts are estimates: they depend on replies that are not known yet\n"
        "figures are for the first block of 8 seed rows; no model was loaded\n"
    )


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    write_job(tmp_path, job_data())
    assert textmill(tmp_path, *DRY_RUN, "--out", "run").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]


@pytest.fixture
def explosive(tmp_path: Path) -> Path:
    """A model folder with a tokenizer, and weights of a kind that nothing can load."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder = tmp_path / "explosive"
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + b"\0" * 4
    config = json.dumps({"model_type": "explosive"})
    write(folder, {"config.json": config, "model.safetensors": weights})
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("overflow", ["reject", "truncate", "split"])
def test_dry_run_loads_no_model(tmp_path: Path, explosive: Path, overflow: str) -> None:
    models = {"writer": {"model": f"./{explosive.name}"}}
    write_job(tmp_path, job_data(models=models, stages=stages({"overflow": overflow})))
    dry = textmill(tmp_path, *DRY_RUN, "--json")
    assert known_and_paid(dry) == {"question": (0, 8, 0), "answer": (0, 0, 8)}
    assert counted(dry)["question"]["prompt_tokens"] == 8 * 5  # "Ask about topic 7 ."
    assert dry.err == ""
    run = textmill(tmp_path, "run", "job.yaml", "--out", "run", *LEDGER)
    assert run.code == 4, "the model that a dry run must not load can be loaded after all"


LOOKING = [
    {"kind": "dedup", "field": "question", "method": "semantic"},
    {"kind": "retrieve", "query": "question", "path": "notes.md", "retriever": "dense"},
]


@pytest.mark.parametrize("stage", LOOKING, ids=lambda stage: stage["kind"])
def test_dry_run_loads_no_embedder(tmp_path: Path, explosive: Path, stage: dict[str, Any]) -> None:
    (tmp_path / "notes.md").write_text("Trains leave at night.", encoding="utf-8")
    ask, answer = job_data()["stages"]
    data = job_data(stages=[ask, stage, answer], embedder=f"./{explosive.name}")
    write_job(tmp_path, data)
    textmill(tmp_path, *PREVIEW, "-n", "8")  # fails at the embedder, with the questions paid
    before = sorted(path.name for path in tmp_path.iterdir())
    dry = textmill(tmp_path, *DRY_RUN, "--json")
    assert known_and_paid(dry) == {"question": (8, 0, 0), "answer": (0, 0, 8)}
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    run = textmill(tmp_path, "run", "job.yaml", "--out", "run", *LEDGER)
    assert run.code == 4, "the embedder that a dry run must not load can be loaded after all"


def test_dry_run_goes_on_without_a_model_that_is_not_here_and_says_so(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(models={"writer": {"model": "no/such-model"}}))
    ended = textmill(tmp_path, *DRY_RUN, "--json")
    assert known_and_paid(ended) == {"question": (0, 8, 0), "answer": (0, 0, 8)}
    assert counted(ended)["question"]["prompt_tokens"] == 8 * 5
    first, second = ended.err.splitlines()
    assert first.startswith("warning: writer: models.writer: the model 'no/such-model' is not on")
    assert second.endswith("; its tokens are counted as words")


def test_dry_run_leaves_a_damaged_entry_of_the_ledger_to_be_paid(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(stages=stages()[:1]))
    textmill(tmp_path, *PREVIEW, "-n", "8")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("UPDATE calls SET crc = crc + 1 WHERE key = (SELECT min(key) FROM calls)")
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json")) == {"question": (7, 1, 0)}


AUGMENTED: list[tuple[dict[str, Any], tuple[int, int, int], int]] = [
    ({"variants": 1}, (0, 8, 0), 16),
    ({"variants": 3, "keep_original": False}, (0, 8, 16), 24),
]


@pytest.mark.parametrize(("settings", "first", "behind"), AUGMENTED)
def test_dry_run_assumes_a_call_for_every_variant(
    tmp_path: Path, settings: dict[str, Any], first: tuple[int, int, int], behind: int
) -> None:
    prompt = prompt_text("Say it in other words: {{ text }}", ["text"])
    augment = {"kind": "paraphrase", "model": "writer", "field": "topic", "prompt": "again"}
    job = job_data(stages=[{**augment, **settings}, *stages()[:1]])
    job["prompts"]["again"] = prompt
    write_job(tmp_path, job)
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json")) == {
        "paraphrase": first,
        "question": (0, 0, behind),
    }


def test_dry_run_runs_no_runnable_of_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, {"my_runnable.py": "raise AssertionError('it was imported')\n"})
    mine = {"kind": "runnable", "target": "my_runnable:chain", "fields": "topic", "adds": "x"}
    write_job(tmp_path, job_data(stages=[mine, *stages()[:1]]))
    assert known_and_paid(textmill(tmp_path, *DRY_RUN, "--json")) == {
        "x": (0, 0, 8),
        "question": (0, 0, 8),
    }
