"""`prompts improve` on a scripted model whose replies depend on what its instruction says."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import assert_line, textmill
from jobs import job_data, loaded_job, prompt_text, write_job

from chains.calls import Call, Model
from chains.models.scripted import ScriptedChat
from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.lab.improving import Improved, Wish, improve, rewrite, rewritten
from pipelines.ledger import Ledger
from prompts.prompt import Prompt

LONG = "a reply of seven words or more indeed"
OLD = "Ask about {{ topic }}."


class Student:
    """Writes at length when told to; as a proposer, says what it was made with."""

    def __init__(self, *proposals: str) -> None:
        self.proposals = proposals

    def __call__(self, call: Call) -> str:
        asked = call.messages[-1].content
        if "Here it failed" in asked:
            return self.proposals[call.seed % len(self.proposals)]
        return LONG if "at length" in asked or hash_of(asked) % 4 == 0 else "too short"


def hash_of(text: str) -> int:
    return sum(map(ord, text))


class TaughtCaller(Caller):
    """A caller whose every model is the one given."""

    def __init__(self, loaded: LoadedJob, ledger: Ledger, script: Student) -> None:
        super().__init__(loaded.job.models, loaded.job.embedder, ledger)
        self._chat = ScriptedChat(script=script)

    def model(self, name: str) -> Model:
        return self._chat

    def fingerprint(self, name: str) -> str:
        return self._chat.fingerprint


def job(**changes: Any) -> dict[str, Any]:
    stages = [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text", "attempts": 1},
        {"kind": "length", "field": "text", "unit": "words", "min": 5, "max": 40},
    ]
    prompts = {"ask": prompt_text(OLD, ["topic"])}
    return {"stages": stages, "prompts": prompts, **changes}


def improved(folder: Path, *proposals: str, rows: int = 40) -> Improved:
    loaded = loaded_job(folder, **job())
    with Ledger(folder / "ledger.sqlite") as ledger:
        caller = TaughtCaller(loaded, ledger, Student(*proposals))
        return improve(loaded, Wish("text", rows=rows, proposals=3, rounds=2), caller)


def test_a_better_instruction_wins_on_rows_it_was_not_made_from(tmp_path: Path) -> None:
    found = improved(tmp_path, "<instruction>Ask at length about {{ topic }}.</instruction>")
    assert found.before < 0.5
    assert found.winner is not None
    assert found.winner.accepted == 1.0
    assert found.contrast is not None
    assert (found.contrast.rows, found.contrast.shown) == (20, True)
    written = yaml.safe_load(found.winner.source)
    assert written["messages"][0]["content"].strip() == "Ask at length about {{ topic }}."
    assert written["variables"] == {"topic": "a column"}


def test_what_does_no_better_is_not_kept(tmp_path: Path) -> None:
    found = improved(tmp_path, OLD, "Ask about it.", "{{ topic }} {{ mood }}", "{{ topic", "")
    assert found.winner is None
    assert found.contrast is None
    fates = [proposal.fate for proposal in found.tried]
    assert len(fates) == 3
    assert not any(fate.endswith("accepted") for fate in fates)
    assert all(proposal.source == "" for proposal in found.tried)


def test_few_rows_show_nothing_however_good_the_proposal(tmp_path: Path) -> None:
    found = improved(tmp_path, "Ask at length about {{ topic }}.", rows=6)
    assert found.contrast is not None
    assert found.contrast.difference > 0
    assert found.winner is None


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("", "empty"),
        (OLD, "the same text"),
        ("Ask.", "lost a variable: topic"),
        ("{{ topic }}" + "x" * 400, "411 characters are too many"),
        ("{{ topic }} {{ mood }}", "undefined variable 'mood'"),
    ],
)
def test_a_rewrite_that_changes_what_a_prompt_knows_is_refused(reply: str, fault: str) -> None:
    prompt = Prompt.parse("ask", prompt_text(OLD, ["topic"]))
    assert rewrite(prompt, 0, reply) == ("", fault)


def test_the_longest_message_is_the_one_rewritten() -> None:
    messages = [
        {"role": "system", "content": "You write exam questions for the first year."},
        {"role": "user", "content": "{{ topic }}"},
    ]
    prompt = Prompt.parse(
        "ask", yaml.safe_dump({"variables": {"topic": "x"}, "messages": messages})
    )
    assert rewritten(prompt) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["asq"], "unknown prompt of the job 'asq'; fix: write 'ask' (known: ask)"),
        (["ask", "--stage", "length"], "--stage: unknown stage with a prompt 'length'; fix: ..."),
        (["ask", "--model", "writr"], "--model: unknown model 'writr'; fix: write 'writer' ..."),
        (["ask", "--out", "taken.yaml"], "taken.yaml: the file exists; fix: give --out a new name"),
    ],
)
def test_wrong_words_are_told_in_one_line(tmp_path: Path, words: list[str], line: str) -> None:
    write_job(tmp_path, job_data(**job()))
    (tmp_path / "taken.yaml").touch()
    ended = textmill(tmp_path, "prompts", "improve", *words, "--job", "job.yaml")
    assert ended.code == 2
    assert_line(ended.err, line)


def test_the_command_writes_nothing_without_a_winner(tmp_path: Path) -> None:
    write_job(tmp_path, job_data(**job()))
    words = ("improve", "ask", "--job", "job.yaml", "--rows", "8", "--ledger", "l.sqlite")
    ended = textmill(tmp_path, "prompts", *words)
    assert ended.code == 0
    assert "nothing is written" in ended.out
    assert not list(tmp_path.glob("*improved*"))
