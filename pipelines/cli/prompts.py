"""The commands below `prompts`."""

from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, prompts_app


@prompts_app.command("list")
def list_prompts(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the library's prompts."""
    from pipelines.commands import show_prompts

    show_prompts(as_json=as_json)


@prompts_app.command("show")
def show_prompt(
    name: Annotated[str, typer.Argument(help="A prompt's name or file.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one prompt: variables, messages, examples, output, hash."""
    from pipelines.commands import show_one_prompt

    show_one_prompt(name, as_json=as_json)
