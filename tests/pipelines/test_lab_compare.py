import html
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, assert_line, textmill
from jobs import job_data, loaded_job, prompt_text, write_job
from mistakes import write

from pipelines.lab.compare import Plan, compare
from pipelines.lab.results import SHOWN, Comparison
from pipelines.launch import Options
from pipelines.rows import Row
from prompts.errors import UsageError

LEDGER = ("--ledger", "ledger.sqlite")
COMPARE = ("compare", "job.yaml", "--stage", "question", *LEDGER)


def job(short: str = "Ask briefly about {{ topic }}.", **changes: Any) -> dict[str, Any]:
    """The tiny job with a second prompt, a gate behind the first stage, and a second model."""
    data = job_data(**changes)
    data["prompts"]["ask@short"] = prompt_text(short, ["topic"])
    data["models"]["other"] = {"model": "scripted", "replies": ["One.", "Two.", "Three."]}
    ask, answer = job_data()["stages"]
    gate = {"kind": "length", "field": "question", "unit": "words", "max": 15}
    data["stages"] = changes.get("stages") or [ask, gate, answer]
    return data


def compared(folder: Path, plan: Plan, **changes: Any) -> Comparison:
    loaded = loaded_job(folder, **job(**changes))
    return compare(loaded, plan, Options(ledger=folder / "ledger.sqlite"))


def found(ended: Ended) -> Comparison:
    assert ended.code == 0, ended.err
    return Comparison.from_json(json.loads(ended.out))


def test_a_second_comparison_pays_for_the_prompt_that_was_edited_alone(tmp_path: Path) -> None:
    ask = job()["stages"][:1]
    words = (*COMPARE, "--variants", "ask,@short", "--rows", "40", "--json")
    write_job(tmp_path, job(stages=ask))
    first = found(textmill(tmp_path, *words))
    assert (first.calls.asked, first.calls.paid) == (80, 80)
    write_job(tmp_path, job(short="Ask very briefly about {{ topic }}.", stages=ask))
    second = found(textmill(tmp_path, *words))
    assert (second.calls.asked, second.calls.known, second.calls.paid) == (80, 40, 40)
    assert [c for c in second.cells if c.variant == 0] == [c for c in first.cells if not c.variant]
    ended = textmill(tmp_path, *words[:-1])
    assert ended.err == "question: 80 calls, 80 from the ledger, 0 paid\n"


def test_cells_are_what_a_run_gives(tmp_path: Path) -> None:
    write_job(tmp_path, job())
    textmill(tmp_path, "run", "job.yaml", "--out", "run", *LEDGER)
    rows = {}
    for line in (tmp_path / "run/rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows[row["id"]] = row["data"]
    result = found(textmill(tmp_path, *COMPARE, "--variants", "@short", "--rows", "40", "--json"))
    assert [view.name for view in result.variants] == ["current", "@short"]
    assert len(rows) not in (0, 40)
    for row in result.rows:
        outcome = result.cell(row=row.id, variant=0).outcomes[0]
        assert outcome.accepted == (row.id in rows)
        assert outcome.text == rows.get(row.id, {"question": outcome.text})["question"]
        assert (outcome.stage, outcome.reason) in {("", ""), ("length", "too_long")}
    known = sum(cell.replies for cell in result.cells if cell.variant == 0) + len(rows)
    assert result.calls.known == known  # of the run: nothing is paid twice


def test_rows_are_those_that_reach_the_stage(tmp_path: Path) -> None:
    plan = Plan("answer", settings={"hot": {"decoding.temperature": 1.4}}, rows=12)
    result = compared(tmp_path, plan)
    assert len(result.rows) == 12
    assert all(len(row.data["question"].split()) <= 15 for row in result.rows)
    assert result.before.asked > 12  # some did not reach it
    assert result.calls.asked == 24
    assert [dict(view.settings) for view in result.variants] == [{}, {"decoding.temperature": 1.4}]


def test_seeds_are_those_of_row_and_repeat_never_of_the_variant(tmp_path: Path) -> None:
    same = {"same": {"attempts": 3}}
    result = compared(tmp_path, Plan("question", settings=same, rows=5, repeats=2))
    for row in result.rows:
        texts = [
            [result.cell(row=row.id, variant=v, repeat=r).outcomes[0].text for r in (0, 1)]
            for v in (0, 1)
        ]
        assert texts[0] == texts[1]
        assert texts[0][0] != texts[0][1]
    assert result.calls.known == result.calls.asked // 2
    apart = compared(tmp_path, Plan("question", settings=same, rows=5, paired=False))
    assert all(
        apart.cell(row=row.id, variant=0).outcomes[0].text
        != apart.cell(row=row.id, variant=1).outcomes[0].text
        for row in apart.rows
    )


def test_measures_are_those_of_the_texts(tmp_path: Path) -> None:
    replies = ["Why is tea hot?", "I'm sorry, but I cannot help with that.", "Who?"]
    models = {"writer": {"model": "scripted", "replies": replies}}
    judged = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}
    gate = {"kind": "length", "field": "question", "unit": "words", "min": 2}
    settings = {"cut": {"decoding.max_tokens": 2, "attempts": 1}}
    result = compared(
        tmp_path, Plan("question", settings=settings, rows=40), models=models, stages=[judged, gate]
    )
    texts = [cell.outcomes[0].text for cell in result.cells if cell.variant == 0]
    own, other = result.summaries
    refused = texts.count(replies[1])
    assert 0 < refused < 40
    assert (own.rates["refused"].done, own.rates["refused"].of) == (refused, 40)
    assert own.rates["whole"].value == own.rates["parsed"].value == 1.0
    assert own.rates["accepted"].done == 40 - texts.count("Who?")
    assert own.rates["gate:length"] == own.rates["accepted"]
    assert own.reasons == {"length: too_short": texts.count("Who?")}
    assert own.figures["exact_duplicates"] == round(37 / 40, 4)
    spent = sum(cell.tokens for cell in result.cells if cell.variant == 0)
    assert own.figures["tokens_per_accepted"] == round(spent / own.rates["accepted"].done, 4)
    assert own.figures["logprob"] == -2.0
    assert other.rates["whole"].done == texts.count("Who?")  # and that is too short
    assert other.rates["accepted"].done == 0
    assert other.figures["tokens_per_accepted"] is None
    contrast = result.contrasts[0]
    assert contrast.shown
    assert contrast.worse == own.rates["accepted"].done
    assert contrast.verdict.startswith("cut accepts ")
    assert "points fewer rows than current (95 %)" in contrast.verdict


def test_the_same_thing_twice_shows_nothing_and_says_how_many_rows_would(tmp_path: Path) -> None:
    result = compared(tmp_path, Plan("question", settings={"same": {"attempts": 3}}, rows=20))
    contrast = result.contrasts[0]
    assert (contrast.shown, contrast.p, contrast.difference) == (False, 1.0, 0.0)
    assert contrast.verdict == (
        "no difference shown between same and current (+0 to +0 points); about 460 more rows would"
        " show one of 5 points"
    )


def test_scores_that_later_stages_add_are_contrasted(tmp_path: Path) -> None:
    score = {"type": "object", "properties": {"mark": {"type": "integer"}}, "required": ["mark"]}
    rate = prompt_text("Rate {{ question }}", ["question"])
    rate = rate.replace("form: text", f"form: json\n  schema: {json.dumps(score)}")
    data = job()
    data["prompts"]["rate"] = rate
    data["models"]["judge"] = {"model": "scripted", "replies": [f'{{"mark": {n}}}' for n in "135"]}
    data["stages"].append(
        {"kind": "generate", "model": "judge", "prompt": "rate", "adds": ["mark"], "name": "mark"}
    )
    loaded = loaded_job(tmp_path, **data)
    plan = Plan("question", ("ask", "@short", "other"), rows=20)
    result = compare(loaded, plan, Options(ledger=tmp_path / "ledger.sqlite"))
    assert [(c.variant, c.measure) for c in result.contrasts] == [
        (1, "accepted"), (2, "accepted"), (1, "score:mark"), (2, "score:mark"),
    ]  # fmt: skip
    marks = [
        o.scores["mark"] for c in result.cells if c.variant == 1 for o in c.outcomes if o.scores
    ]
    assert result.summaries[1].figures["score:mark"] == round(sum(marks) / len(marks), 4)
    assert result.variants[2].model == "other"


def test_models_cross_with_variants_and_parts_are_joined(tmp_path: Path) -> None:
    plan = Plan("question", ("ask", "@short+hot"), {"hot": {"attempts": 1}}, ("writer", "other"), 3)
    names = [view.name for view in compared(tmp_path, plan).variants]
    assert names == ["ask+writer", "ask+other", "@short+hot+writer", "@short+hot+other"]


def test_several_replies_of_a_row_are_one_cell(tmp_path: Path) -> None:
    settings = {"two": {"decoding.n": 2}}
    result = compared(tmp_path, Plan("question", settings=settings, rows=6))
    assert {len(cell.outcomes) for cell in result.cells if cell.variant == 0} == {1}
    assert {len(cell.outcomes) for cell in result.cells if cell.variant == 1} == {2}
    assert result.summaries[1].rates["accepted"].of == 12
    assert result.contrasts[0].rows == 6


def test_results_survive_as_plain_data(tmp_path: Path) -> None:
    result = compared(tmp_path, Plan("question", ("ask", "@short"), rows=4, repeats=2))
    assert Comparison.from_json(json.loads(json.dumps(result.as_json()))) == result
    with pytest.raises(KeyError):
        result.cell(row="none", variant=0)


def test_a_huge_text_is_cut_where_it_is_kept_and_shown(tmp_path: Path) -> None:
    huge = "word " * 1_000_000
    write(tmp_path, {"seeds.jsonl": json.dumps({"topic": huge, "id": 1}) + "\n"})
    data = job(sources=[{"kind": "records", "path": "seeds.jsonl"}])
    data["prompts"]["ask"] = prompt_text("Ask about {{ topic[:20] }}.", ["topic"])
    write_job(tmp_path, data)
    ended = textmill(tmp_path, *COMPARE, "--variants", "@short", "--json")
    row = found(ended).rows[0]
    assert row.data["topic"] == f"{huge[:SHOWN]} [... 4,980,000 more characters]"
    assert len(ended.out) < 10 * SHOWN
    assert len(textmill(tmp_path, *COMPARE, "--variants", "@short").out) < 10_000


@pytest.mark.parametrize("columns", ["60", "200"])
def test_differences_are_marked_and_no_text_gives_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    orders = "\x1b[2J\x9b31m\u202e"
    models = {"writer": {"model": "scripted", "replies": [f"When did the big train run?{orders}"]}}
    data = job(models=models, stages=job()["stages"][:1])
    data["models"]["other"] = {"model": "scripted", "replies": ["When did the train not run?"]}
    write_job(tmp_path, data)
    out = textmill(tmp_path, *COMPARE, "--variants", "current,other", "--rows", "2", "-n", "1").out
    flat = " ".join(out.split())
    assert "the [-big -]train [-run?" in flat
    assert "-]{+not run?+}" in flat
    assert not set("\x1b\x9b\u202e") & set(out)
    assert "(1 more rows; -n 2 shows all)" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--variants", "ask,@shrt"],
            "--variants: unknown variant '@shrt'; fix: write 'ask@short'",
        ),
        (
            ["--variants", "ask,hto", "--set-variant", "hot=attempts=1"],
            "--variants: unknown variant 'hto'; fix: write 'hot'",
        ),
        ([], "--variants: there is nothing to compare the stage with; fix: ..."),
        (["--variants", "ask,ask"], "--variants: 'ask' is there twice; fix: name each once"),
        (
            ["--variants", "current"],
            "--variants: there is nothing to compare the stage with; fix: ...",
        ),
        (
            ["--variants", "@strange"],
            "prompt: variant '@strange': stage 'question' needs column 'subject'; fix: "
            "columns at this stage: topic",
        ),
        (
            ["--models", "writer,othr"],
            "model: variant 'othr': unknown model 'othr'; fix: write 'other'...",
        ),
        (["--set-variant", "hot"], "--set-variant hot: not NAME=KEY=VALUE; fix: ..."),
        (
            ["--set-variant", "a+b=attempts=1"],
            "--set-variant a+b=attempts=1: 'a+b' cannot name a variant; fix: ...",
        ),
        (
            ["--set-variant", "x=name=new"],
            "name: variant 'x': is the same for all variants; fix: ...",
        ),
        (
            ["--set-variant", "x=attempt=1"],
            "attempt: variant 'x': unknown key 'attempt'; fix: write 'attempts'",
        ),
        (
            ["--set-variant", "x=decoding.temperature=-1"],
            "decoding.temperature: variant 'x': found -1; fix: ...",
        ),
    ],
)
def test_mistakes_name_the_mend(tmp_path: Path, words: list[str], line: str) -> None:
    data = job()
    data["prompts"]["ask@strange"] = prompt_text("Ask about {{ subject }}.", ["subject"])
    write_job(tmp_path, data)
    ended = textmill(tmp_path, *COMPARE, *words)
    assert ended.code == 2
    assert_line(ended.err, line)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--stage", "qestion"], "--stage: unknown stage 'qestion'; fix: write 'question' ..."),
        (
            ["--stage", "length", "--variants", "@x"],
            "stage 'length' has no prompt that '@x' can replace; fix: ...",
        ),
    ],
)
def test_mistakes_about_the_stage(tmp_path: Path, words: list[str], line: str) -> None:
    write_job(tmp_path, job())
    ended = textmill(tmp_path, "compare", "job.yaml", *LEDGER, *words)
    assert ended.code == 2
    assert_line(ended.err, line)


def test_a_prompt_that_a_gate_only_reads_is_not_replaced(tmp_path: Path) -> None:
    gate = {"kind": "copying", "field": "question", "prompt": "qa/question"}
    write_job(tmp_path, job(stages=[job()["stages"][0], gate]))
    words = ("compare", "job.yaml", "--stage", "copying", "--variants", "@short", *LEDGER)
    line = "stage 'copying' has no prompt that '@short' can replace; fix: ..."
    assert_line(textmill(tmp_path, *words).err, line)


def test_no_row_that_reaches_the_stage_is_an_error(tmp_path: Path) -> None:
    gate = {"kind": "length", "field": "topic", "unit": "words", "min": 9}
    write_job(tmp_path, job(stages=[gate, *job()["stages"][:1]]))
    ended = textmill(tmp_path, *COMPARE, "--variants", "@short")
    assert ended.code == 2
    assert_line(ended.err, "--stage: no row reaches the stage 'question'; fix: ...")


def test_rows_can_be_given(tmp_path: Path) -> None:
    loaded = loaded_job(tmp_path, **job())
    rows = [Row(f"r{n}", (n,), f"r{n}", {"topic": f"thing {n}"}) for n in range(3)]
    options = Options(ledger=tmp_path / "ledger.sqlite")
    result = compare(loaded, Plan("question", ("@short",)), options, rows=rows)
    assert [row.id for row in result.rows] == ["r0", "r1", "r2"]
    with pytest.raises(UsageError, match="unknown stage"):
        compare(loaded, Plan("questions"), options, rows=rows)


def test_the_page_loads_nothing_and_no_text_becomes_a_tag(tmp_path: Path) -> None:
    data = job(stages=job()["stages"][:1])
    data["models"]["writer"]["replies"] = ["Why is <script>alert(1)</script> tea hot?"]
    data["models"]["other"]["replies"] = ["Why is tea hot?"]
    write_job(tmp_path, data)
    words = ("--variants", "current,other", "--rows", "2", "--html", "page.html")
    assert textmill(tmp_path, *COMPARE, *words).code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html.unescape(page)
    assert "<script>alert" not in page
    assert "no difference shown between other and current" in page
