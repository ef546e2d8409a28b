"""The commands below `prompts`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, LedgerFile, Offline, prompts_app

NameArgument = Annotated[str, typer.Argument(help="A prompt's name or file.")]


@prompts_app.command("list")
def list_prompts(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Prompt files [the library's].")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List prompts, variants below what they are variants of."""
    from pipelines.lab.prompt_files import show_prompts

    show_prompts(folder, as_json=as_json)


@prompts_app.command("show")
def show_prompt(name: NameArgument, as_json: AsJson = False, debug: Debug = False) -> None:
    """Show one prompt: variables, messages, examples, output, hash."""
    from pipelines.lab.prompt_files import show_one_prompt

    show_one_prompt(name, as_json=as_json)


@prompts_app.command("diff")
def diff_prompts(
    before: Annotated[str, typer.Argument(metavar="A", help="A prompt's name or file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another, or @VARIANT of the first.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what differs between two prompts, word by word."""
    from pipelines.lab.prompt_files import show_difference

    show_difference(before, after, as_json=as_json)


@prompts_app.command("test")
def try_prompt(
    name: NameArgument,
    rows: Annotated[
        Path | None, typer.Option("--rows", dir_okay=False, help="Sample rows, as JSON Lines.")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="Rows to take.")] = 20,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="Ask it for replies [none is asked].")
    ] = "",
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, max=100_000, help="Of a reply.")
    ] = 256,
    ledger: LedgerFile = None,
    offline: Offline = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Render a prompt with sample values and check what its file asserts."""
    from pipelines.lab.prompt_testing import Wanted, show_prompt_test

    wanted = Wanted(rows, count, model, max_tokens, ledger, offline)
    show_prompt_test(name, wanted, as_json=as_json)


@prompts_app.command("new")
def new_prompt(
    name: Annotated[str, typer.Argument(help="TASK/NAME, TASK/NAME@VARIANT or a .yaml file.")],
    source: Annotated[
        str, typer.Option("--from", metavar="PROMPT", help="Copy this one [a starter].")
    ] = "",
    debug: Debug = False,
) -> None:
    """Write a new prompt file; a variant begins as a copy of its prompt."""
    from pipelines.lab.prompt_files import new_prompt as write_prompt

    write_prompt(name, source)


@prompts_app.command("promote")
def promote(
    name: Annotated[str, typer.Argument(metavar="NAME@VARIANT", help="The variant to take.")],
    keep: Annotated[
        str, typer.Option("--keep", metavar="@VARIANT", help="What keeps the old text.")
    ] = "@before",
    debug: Debug = False,
) -> None:
    """Make a variant what its prompt says; the old text is kept as a variant."""
    from pipelines.lab.promoting import promote_prompt

    promote_prompt(name, keep)


@prompts_app.command("improve")
def improve(
    name: NameArgument,
    job: Annotated[
        Path, typer.Option("--job", dir_okay=False, metavar="JOB", help="A job that uses it.")
    ],
    stage: Annotated[
        str, typer.Option("--stage", metavar="NAME", help="Where it is used [the first].")
    ] = "",
    writer: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The job's model that proposes.")
    ] = "",
    rows: Annotated[
        int, typer.Option("--rows", min=4, help="Rows; one half to learn from, one to judge by.")
    ] = 40,
    proposals: Annotated[
        int, typer.Option("--proposals", min=1, max=50, help="New texts a round.")
    ] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=20, help="Rounds at most.")] = 2,
    out: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, help="The file to write [NAME@improved]."),
    ] = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let a model rewrite a prompt where it fails, and keep what is shown to be better."""
    from pipelines.job import load_job
    from pipelines.lab.improving import Wish
    from pipelines.lab.improving_command import improve_prompt
    from pipelines.launch import Options

    loaded = load_job(job)
    if writer:
        loaded.model(writer, key="--model")
    wish = Wish(stage, writer, rows, proposals, rounds)
    options = Options(ledger, offline)
    improve_prompt(loaded, name, wish, options, out=out, as_json=as_json)
