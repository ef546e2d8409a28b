from pathlib import Path

import pytest

from prompts.errors import UsageError
from prompts.prompt import LIBRARY, list_prompts, load_prompt

SOURCE = "messages: [{role: user, content: '%s'}]"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's folder beside the current one, and a secret outside of both."""
    for name in ("here", "job", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yaml").write_text(SOURCE % name)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def message(name: str, folder: Path | None = None) -> str:
    return load_prompt(name, folder=folder).messages[0].content


def test_finds_a_prompt_of_the_library_by_name() -> None:
    prompt = load_prompt("qa/question")
    assert prompt.source == (LIBRARY / "qa" / "question.yaml").read_text(encoding="utf-8")
    assert prompt.name == "qa/question"


def test_an_inline_prompt_goes_before_a_file_and_the_library(project: Path) -> None:
    for name in ("qa/question", "./p.yaml", "plain"):
        prompt = load_prompt(name, inline={name: SOURCE % "inline"}, folder=project / "job")
        assert (prompt.name, prompt.messages[0].content) == (name, "inline")


def test_a_path_starts_in_the_folder_then_in_the_current_one(project: Path) -> None:
    assert message("./p.yaml", project / "job") == "job"
    assert message("p.yaml", project / "job") == "job"
    assert message("./p.yaml") == "here"
    (project / "job" / "p.yaml").unlink()
    assert message("./p.yaml", project / "job") == "here"
    assert message(str(project / "here" / "p.yaml"), project / "job") == "here"


@pytest.mark.parametrize(
    "name",
    [
        "../elsewhere/p.yaml",
        "../../etc/passwd",
        "/etc/passwd",
        "./../elsewhere/p.yaml",
        "link.yaml",
    ],
)
def test_a_path_may_not_leave_both_folders(project: Path, name: str) -> None:
    (project / "job" / "link.yaml").symlink_to(project / "elsewhere" / "p.yaml")
    with pytest.raises(UsageError) as caught:
        load_prompt(name, folder=project / "job")
    assert str(caught.value) == (
        f"prompt '{name}' lies outside the job's folder and the current one; "
        "fix: copy it into the job's folder"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qa/questoin", "unknown prompt 'qa/questoin'; fix: write 'qa/question' (known: "),
        ("QA/question", "unknown prompt 'QA/question'; fix: write 'qa/question' (known: "),
        ("qa/../qa/question", "unknown prompt 'qa/../qa/question'; fix: write "),
        ("mien", "unknown prompt 'mien'; fix: write 'mine' (known: "),
        ("./none.yaml", "prompt './none.yaml': no such file; fix: check the path"),
        (".", ".: not a file"),
        ("loop.yaml", "prompt 'loop.yaml'"),  # from Python 3.13 on there is no such file
        ("bad.yaml", "bad.yaml:1: messages.0.role: found 'usr'"),
        ("x\0.yaml", "prompt 'x\0.yaml' is not a path that can be read"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(project: Path, name: str, message: str) -> None:
    (project / "here" / "loop.yaml").symlink_to(project / "here" / "loop.yaml")
    (project / "here" / "bad.yaml").write_text("messages: [{role: usr, content: x}]")
    with pytest.raises(UsageError) as caught:
        load_prompt(name, inline={"mine": SOURCE})
    assert str(caught.value).startswith(message)


def test_lists_every_file_of_the_library() -> None:
    names = [prompt.name for prompt in list_prompts()]
    assert names == sorted(names)
    assert len(names) == len(list(LIBRARY.rglob("*.yaml")))
    assert "qa/question" in names
