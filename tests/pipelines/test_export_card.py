import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from exports import JOB, MANIFEST, PROMPT, exported, finished, questions, rows_of
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from pipelines.exporters import HfDataset, place
from pipelines.exporters.card import size_category

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
PARSER = MarkdownIt("commonmark").enable("table")


def card_of(target: Path) -> str:
    return (target / "README.md").read_text(encoding="utf-8")


def body(card: str) -> str:
    return card.split("\n---\n", 1)[1]


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no section {title}"
    return found.group(1)


def tables(markdown: str) -> list[list[list[str]]]:
    """Every table as rows of cells, as a reader sees them."""
    found: list[list[list[str]]] = []
    for token in PARSER.parse(markdown):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 2:
            found[-1][-1].append("".join(part.content for part in token.children or []))
    return found


def test_the_head_is_what_the_hub_and_load_dataset_read(tmp_path: Path) -> None:
    exporter = HfDataset(
        format="prompt-completion",
        splits=SPLITS,
        license="cc-by-4.0",
        language="en",
        pretty_name="Support: questions #1",
    )
    exported(exporter, questions(30), tmp_path / "dataset")
    data = DatasetCard.load(tmp_path / "dataset" / "README.md").data.to_dict()
    files = {
        config: [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in SPLITS]
        for config in ("data", "lineage")
    }
    assert data == {
        "language": ["en"],
        "license": "cc-by-4.0",
        "pretty_name": "Support: questions #1",
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "textmill"],
        "configs": [
            {"config_name": "default", "data_files": files["data"], "default": True},
            {"config_name": "lineage", "data_files": files["lineage"]},
        ],
    }


def test_what_was_not_said_is_left_out_of_the_head(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "dataset")
    head = card_of(tmp_path / "dataset").split("---\n")[1]
    assert list(yaml.safe_load(head)) == ["size_categories", "pretty_name", "tags", "configs"]
    assert yaml.safe_load(head)["pretty_name"] == "support-qa"
    assert "No license was chosen" in section(card_of(tmp_path / "dataset"), "License")


def test_counts_are_those_of_the_manifest(tmp_path: Path) -> None:
    exported(HfDataset(), questions(20), tmp_path / "dataset")
    text = section(card_of(tmp_path / "dataset"), "Counts")
    assert tables(text) == [
        [
            ["Stage", "Kind", "In", "Created", "Out", "Rejected"],
            ["source:documents", "documents", "0", "14", "13", "not_utf8 1"],
            ["question", "generate", "13", "13", "21", "too_long 2, too_short 3"],
            ["quota", "quota", "21", "0", "20", "over_quota 1"],
        ]
    ]
    assert "The run ended with 20 rows. Why it ended: quota." in text


def test_splits_and_columns_are_those_of_the_files(tmp_path: Path) -> None:
    exporter = HfDataset(
        format="classification", columns={"text": "question"}, label="topic", splits=SPLITS
    )
    exported(exporter, questions(30), tmp_path / "dataset")
    card = card_of(tmp_path / "dataset")
    assert tables(section(card, "Splits"))[0] == [
        ["Split", "Rows", "Share wanted"],
        ["train", "24", "80.0%"],
        ["validation", "3", "10.0%"],
        ["test", "3", "10.0%"],
    ]
    assert "`topic` is spread alike over the splits" in section(card, "Splits")
    assert tables(section(card, "Columns"))[0] == [
        ["Column", "Type"],
        ["text", "text"],
        ["label", "class label (0 = leave, 1 = pay, 2 = travel)"],
    ]
    example = '{\n  "text": "How many days, case 0?",\n  "label": 0\n}'
    assert example in section(card, "Columns")


def test_stages_models_and_prompts_are_there_in_full(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "dataset")
    text = section(card_of(tmp_path / "dataset"), "How it was made")
    for line in (
        "1. **documents**",
        "    - path: `examples/handbook`",
        "1. **question** (generate)",
        "    - prompt: `qa/question`",
        '    - decoding: `{"stop":[],"strategy":"sample","temperature":0.8}`',
        "- **writer**",
        "    - revision: `b179c952`",
        "<summary>qa/question, hash 1f0c9e</summary>",
        f"```yaml\n{PROMPT}```",
    ):
        assert line in text


def test_the_job_in_the_card_is_the_job(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "dataset")
    text = section(card_of(tmp_path / "dataset"), "Reproduce")
    block = re.search(r"<summary>job.yaml</summary>\n\n```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert yaml.safe_load(block.group(1)) == JOB
    assert "textmill run job.yaml --out run" in text
    assert ["torch", "2.13.0"] in tables(text)[0]


def test_a_run_that_time_has_ended_does_not_promise_the_same_bytes(tmp_path: Path) -> None:
    run = finished(questions(3), {"reproducible": False, "stop": "budget: minutes"})
    place(lambda folder: HfDataset().write(run, folder), tmp_path / "dataset")
    text = card_of(tmp_path / "dataset")
    assert "same bytes" not in text
    assert "A limit of time ended this run" in text


def test_a_job_without_models_does_not_speak_of_them(tmp_path: Path) -> None:
    run = finished(questions(3), {"models": {}, "prompts": {}}, models={}, prompts={}, stages=[])
    place(lambda folder: HfDataset().write(run, folder), tmp_path / "dataset")
    text = card_of(tmp_path / "dataset")
    assert "No language model took part." in text
    assert "Models" not in text
    assert "biases" not in section(text, "Limits")


def test_no_path_address_or_user_of_this_machine_is_in_the_card(tmp_path: Path) -> None:
    local = str(tmp_path / "corpus" / "docs")
    prompt = str(tmp_path / "prompts" / "ask.yaml")
    manifest = {
        "models": {"writer": {"model": f"{tmp_path}/models/tiny", "server": "http://gpu7:8000/v1"}},
        "prompts": {prompt: "1f0c9e"},
    }
    job: dict[str, Any] = {
        "sources": [{"kind": "documents", "path": local}, {"kind": "records", "path": "~/a.csv"}],
        "models": {"writer": {"server": "http://gpu7:8000/v1", "model": "tiny"}},
        "prompts": {prompt: PROMPT},
        "stages": [{"kind": "generate", "name": "question", "prompt": prompt}],
    }
    run = finished(questions(3), manifest, **job)
    place(lambda folder: HfDataset().write(run, folder), tmp_path / "dataset")
    text = card_of(tmp_path / "dataset")
    for secret in (str(tmp_path), "gpu7", "~/"):
        assert secret not in text
    for shown in ("(local)/docs", "(local)/a.csv", "(local)/tiny", "(local)/ask.yaml", "(server)"):
        assert shown in text
    assert "Absolute paths and server addresses are left out of this card" in text


def test_a_card_without_anything_left_out_does_not_say_so(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "dataset")
    assert "left out" not in card_of(tmp_path / "dataset")


def test_long_texts_of_the_example_are_cut_and_it_is_said(tmp_path: Path) -> None:
    rows = rows_of([{"text": "y" * 5000, "list": ["z" * 1001]}])
    exported(HfDataset(), rows, tmp_path / "dataset")
    text = section(card_of(tmp_path / "dataset"), "Columns")
    assert f'"{"y" * 1000} ... (4000 more characters)"' in text
    assert f'"{"z" * 1000} ... (1 more characters)"' in text
    assert "y" * 1001 not in text


HOSTILE = (
    "x\n```\n````\n</details>\n\n# Owned\n\n| a | b |\n"
    "<script>alert(1)</script> `y` **z** \u2028 \x00"
)


def hostile_run(text: str) -> Any:
    manifest = {
        **MANIFEST,
        "prompts": {text: text},
        "models": {text: {"model": text, "license": text, text: text}},
        "stages": [
            {"stage": text, "kind": text, "in": 1, "created": 0, "out": 0, "rejected": {text: 1}}
        ],
        "versions": {text: text},
        "machine": text,
        "stop": text,
    }
    job = {
        "prompts": {text: text},
        "sources": [{"kind": text, "path": text}],
        "stages": [{"kind": "generate", "name": text, text: text, "n": [text]}],
    }
    return finished(
        rows_of([{"answer": text, "turns": [{text: text}], text: text}]), manifest, **job
    )


def structure(card: str) -> list[tuple[str, int]]:
    """What the card is made of: every block and inline element with its nesting, without texts."""
    found: list[tuple[str, int]] = []
    for token in PARSER.parse(body(card)):
        found.append((token.type, token.level))
        kinds = {part.type for part in token.children or []}
        found += [(kind, -1) for kind in sorted(kinds - {"text", "text_special", "softbreak"})]
    return found


@pytest.mark.parametrize("text", [HOSTILE, "---\na: b\n---", "a|b\\|c", "~~~\n$$"])
def test_nothing_in_the_data_can_break_the_card(text: str, tmp_path: Path) -> None:
    harmless = "word" if len(text.split()) < 3 else "three harmless words"
    for name, part in (("harmless", harmless), ("hostile", text)):
        run = hostile_run(part)
        exporter = HfDataset(pretty_name=part)
        place(lambda folder, run=run, e=exporter: e.write(run, folder), tmp_path / name)
    assert structure(card_of(tmp_path / "hostile")) == structure(card_of(tmp_path / "harmless"))
    head = DatasetCard.load(tmp_path / "hostile" / "README.md").data
    assert head.pretty_name == text
    assert [config["config_name"] for config in head.configs] == ["default", "lineage"]


@pytest.mark.parametrize(
    ("rows", "word"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**12, "n>1T")],
)
def test_size_category(rows: int, word: str) -> None:
    assert size_category(rows) == word


def png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_the_pictures_that_the_card_shows_are_there_and_the_same_each_time(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        exported(HfDataset(), questions(30), tmp_path / name)
        images = tmp_path / name / "images"
        found.append({path.name: path.read_bytes() for path in images.iterdir()})
    assert found[0] == found[1]
    shown = re.findall(r"!\[[^\]]+\]\(images/([a-z]+\.png)\)", card_of(tmp_path / "one"))
    assert sorted(shown) == sorted(found[0]) == ["lengths.png", "openings.png", "stages.png"]
    for data in found[0].values():
        width, height = png_size(data)
        assert width == 1152
        assert 100 < height < 2000
        assert b"tIME" not in data
        assert b"matplotlib" not in data.lower()


def test_the_user_s_own_settings_of_matplotlib_change_no_picture(tmp_path: Path) -> None:
    import matplotlib as mpl

    exported(HfDataset(), questions(9), tmp_path / "one")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}):
        exported(HfDataset(), questions(9), tmp_path / "two")
        assert mpl.rcParams["font.size"] == 20
    for name in ("stages", "lengths", "openings"):
        files = [(tmp_path / run / "images" / f"{name}.png").read_bytes() for run in ("one", "two")]
        assert files[0] == files[1]


def test_figures_are_those_of_the_texts(tmp_path: Path) -> None:
    answers = ["one two three", "one two three", "four five six seven", "a b c d e f g h"]
    rows = rows_of([{"answer": text, "label": "good"} for text in answers])
    exported(HfDataset(), rows, tmp_path / "dataset")
    table = tables(section(card_of(tmp_path / "dataset"), "Figures"))[0]
    data = "\n".join(answers).encode()
    ratio = f"{len(data) / len(gzip.compress(data, mtime=0)):.2f}"
    # 12 different pairs of words of 14; one text of four is a copy.
    assert table[1:] == [["answer", "4", "3", "3", "8", "0.857", ratio, "25.0%"]]


def test_a_dataset_without_texts_has_no_figures(tmp_path: Path) -> None:
    exported(HfDataset(), rows_of([{"n": 1, "label": "good"}]), tmp_path / "dataset")
    card = card_of(tmp_path / "dataset")
    assert "## Figures" not in card
    assert [path.name for path in (tmp_path / "dataset" / "images").iterdir()] == ["stages.png"]
    exported(HfDataset(images=False), questions(3), tmp_path / "dataset")
    assert "![" not in card_of(tmp_path / "dataset")
    assert not (tmp_path / "dataset" / "images").exists()


def test_what_was_found_of_evaluation_sets_is_told(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "none")
    nothing = section(card_of(tmp_path / "none"), "Contamination")
    assert nothing.strip() == "No stage compared the rows with evaluation sets."
    entry = {"stage": "clean", "kind": "decontaminate", "in": 50, "created": 0, "out": 47}
    entry["rejected"] = {"benchmark_copy:gsm8k": 3}
    run = finished(questions(3), {"stages": [entry]})
    place(lambda folder: HfDataset().write(run, folder), tmp_path / "some")
    told = section(card_of(tmp_path / "some"), "Contamination")
    assert "`clean` compared 50 rows" in told
    assert "removed 3: benchmark\\_copy:gsm8k 3." in told


def test_the_card_of_a_merged_run_tells_of_every_job(tmp_path: Path) -> None:
    other = {**JOB, "sources": [{"kind": "records", "path": "more.csv"}]}
    parts = [
        {"part": number, "resolved": job} for number, job in enumerate([JOB, other, JOB], start=1)
    ]
    run = finished(questions(3), {"parts": parts})
    place(lambda folder: HfDataset().write(run, folder), tmp_path / "dataset")
    card = card_of(tmp_path / "dataset")
    made = section(card, "How it was made")
    assert "3 runs were merged" in made
    assert "### Sources of run 1, 3" in made
    assert "### Sources of run 2" in made
    assert "records `more.csv`" in section(card, "License")
    reproduce = section(card, "Reproduce")
    assert "textmill run job-2.yaml --out run-2\n" in reproduce
    assert "textmill merge run-1 run-2 run-3 --out run\n" in reproduce
    assert [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", reproduce, re.S)] == [
        JOB,
        other,
        JOB,
    ]
