"""What a report says of a run, and that it stays one file of bounded size that asks no network."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import assert_line, textmill
from jobs import launched
from report_runs import ATTACK, ESCAPES, data_of, page_of, records, report_run

from pipelines.folder import open_run
from pipelines.reports import packing
from pipelines.reports.gathering import MOST_REJECTED, Sample, cut, gather, slice_of
from pipelines.reports.run_report import read_material
from pipelines.rows import Row


class Tags(HTMLParser):
    """Collects tags, and checks that every one is closed in its turn."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.said.append(data)


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def test_a_report_tells_counts_slices_and_rows(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(60))
    page = page_of(folder)
    said = " ".join(" ".join(parsed(page).said).split())
    assert "54 rows were accepted, made from 60 source rows" in said
    assert "Yield 90.0 % 54 accepted, 6 rejected" in said
    assert "too_short 6" in said
    assert "54 of 54 accepted rows are in this page and 6 of 6 rejected ones" in said
    data = data_of(page)
    assert [data["columns"][place] for place in data["leads"]] == ["text"]
    assert [data["columns"][place] for place in data["slices"]] == ["label", "film"]
    assert len(data["rows"]) == 60
    assert data["verdicts"] == [["length", "too_short"]]
    assert [row[6][0] for row in data["rows"] if len(row) > 6] == [0] * 6


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(40))
    assert page_of(folder) == page_of(folder)


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(tmp_path: Path) -> None:
    page = page_of(report_run(tmp_path, records(20)))
    tags = parsed(page).found
    policy = next(a["content"] for t, a in tags if a.get("http-equiv")) or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name, text in (
        ("style", page.split("<style>")[1].split("</style>")[0]),
        ("script", page.split("<script>")[1].split("</script>")[0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in tags if "style" in a or any(name.startswith("on") for name in a)]
    links = [a[key] for _, a in tags for key in ("href", "src") if key in a]
    assert {link for link in links if not str(link).startswith("#")} == {"data:,"}


def test_markup_and_control_characters_stay_text(tmp_path: Path) -> None:
    rows = [{"text": f"{ATTACK} number {n} {ESCAPES}", "label": ATTACK[:40]} for n in range(4)]
    rows += [{"text": "plain words of a row", "label": "plain"} for _ in range(4)]
    page = page_of(report_run(tmp_path, rows))
    tags = parsed(page).found
    assert [tag for tag, _ in tags].count("script") == 2
    assert "img" not in {tag for tag, _ in tags}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    cell = data_of(page)["rows"][0][3][data_of(page)["columns"].index("text")]
    assert cell.startswith(ATTACK)
    assert "red \ufffd[31malert" in cell


def test_a_run_without_accepted_rows_has_a_report(tmp_path: Path) -> None:
    folder = report_run(tmp_path, [{"text": "No."}, {"text": "Never."}])
    said = " ".join(" ".join(parsed(page_of(folder)).said).split())
    assert "0 rows were accepted" in said
    assert "No row was accepted." in said
    assert "No column of the accepted rows holds text." in said


def test_a_very_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    rows = [*records(10), {"text": "long words " * 100_000, "label": "positive", "film": "epic"}]
    page = page_of(report_run(tmp_path, rows))
    assert len(page.encode()) < 400_000
    assert "1 were measured up to 20,000 characters" in page
    texts = [cell for row in data_of(page)["rows"] for cell in row[3] if isinstance(cell, str)]
    assert max(map(len, texts)) < packing.CELLS[0] + 60
    assert any(text.endswith("more characters]") for text in texts)


def test_texts_are_cut_and_then_rows_left_out_until_the_page_is_small_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = report_run(tmp_path, records(300))
    monkeypatch.setattr(packing, "MOST_BYTES", 20_000)
    packed = read_material(folder).packed
    assert packed.cell == packing.CELLS[-1]
    assert 20 < packed.accepted < 270
    assert len(json.dumps(packed.data)) < 25_000


def test_rejected_rows_are_drawn_by_reason() -> None:
    def refused(place: int, reason: str) -> dict[str, object]:
        row = Row(f"{reason}{place}", (place,), f"{reason}{place}", {"text": "x"}).as_json()
        return {**row, "stage": "s", "reason": reason, "detail": {}, "attempts": 1}

    many = [refused(place, "often") for place in range(1_000)]
    found = gather([], [*many, refused(0, "seldom")])
    reasons = [item.verdict[1] for item in found.refused]
    assert reasons == ["often"] * MOST_REJECTED + ["seldom"]


def test_a_sample_depends_on_the_keys_alone() -> None:
    def drawn(keys: list[str]) -> set[str]:
        sample: Sample[str] = Sample(10)
        for place, key in enumerate(keys):
            sample.add(key, place, key)
        return set(sample.items())

    keys = [f"row {number}" for number in range(100)]
    assert drawn(keys) == drawn(keys[::-1])
    assert len(drawn(keys)) == 10


@pytest.mark.parametrize(
    ("value", "slice_"),
    [("positive", "positive"), (True, "true"), (3, "3"), (None, "null"), (0.5, None),
     ("two\nlines", None), ("w" * 61, None), ([1], None)],
)  # fmt: skip
def test_slices_are_short_values(value: object, slice_: str | None) -> None:
    assert slice_of(value) == slice_


def test_cutting_says_how_much() -> None:
    assert cut("abc", 3) == "abc"
    assert cut({"a": ["abcdef"]}, 3) == {"a": ["abc [... 3 more characters]"]}


def test_the_share_that_a_source_draws_is_marked(tmp_path: Path) -> None:
    source = {
        "kind": "topics",
        "topics": ["tent"],
        "attributes": {"label": {"good": 3, "bad": 1}},
        "count": 20,
        "balance": ["label"],
    }
    stages = [{"kind": "pattern", "field": "topic", "require": ["."]}]
    run = launched(tmp_path, models={}, prompts={}, sources=[source], stages=stages)
    page = page_of(open_run(run.folder))
    assert "good: 15, 75.0 %, 75.0 % drawn" in page
    assert "bad: 5, 25.0 %, 25.0 % drawn" in page


def test_evaluation_and_provenance_are_in_the_page(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    assert "Evaluation" not in page_of(folder)
    figures = {"itself": {"rows": 18, "vendi": 12.5}}
    (folder.path / "evaluation.json").write_text(json.dumps(figures), encoding="utf-8")
    said = " ".join(" ".join(parsed(page_of(folder)).said).split())
    assert "Vendi score: effective number of unlike texts 12.5" in said
    assert "textmill run job.yaml" in said
    assert "No language model took part." in said
    assert str(tmp_path) not in page_of(folder)


def test_history_and_likelihood_of_generated_rows(tmp_path: Path) -> None:
    data = data_of(page_of(open_run(launched(tmp_path).folder)))
    assert [data["columns"][place] for place in data["leads"]] == ["question", "answer"]
    stages = [data["events"][step[0]]["stage"] for step in data["rows"][0][5]]
    assert stages == ["source:topics", "question", "answer"]


def test_the_command_writes_one_file(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    ended = textmill(tmp_path, "report", "run")
    assert (ended.code, ended.err) == (0, "")
    assert (folder.path / "report.html").read_text(encoding="utf-8") == page_of(folder)
    ended = textmill(tmp_path, "report", "run", "--out", "other.html", "--json")
    assert json.loads(ended.out)["bytes"] == (tmp_path / "other.html").stat().st_size


def test_an_unfinished_run_is_refused_with_the_command_that_goes_on(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    folder.manifest_file.unlink()
    ended = textmill(tmp_path, "report", "run")
    assert ended.code == 2
    line = "run: the run is not finished; fix: go on with it first: python run_pipeline.py resume"
    assert_line(ended.err, f"{line}...")


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000])
def test_a_damaged_evaluation_is_named(tmp_path: Path, content: str) -> None:
    folder = report_run(tmp_path, records(10))
    (folder.path / "evaluation.json").write_text(content, encoding="utf-8")
    ended = textmill(tmp_path, "report", "run")
    assert ended.code == 6
    assert_line(ended.err, "...evaluation.json: cannot be read; fix: write it anew...")


def test_a_damaged_run_is_refused(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    text = folder.rows_file.read_text(encoding="utf-8")
    folder.rows_file.write_text(text.replace("comedy", "tragic"), encoding="utf-8")
    ended = textmill(tmp_path, "report", "run")
    assert ended.code == 6
    assert_line(ended.err, "...rows.jsonl: its bytes are not those recorded...")
