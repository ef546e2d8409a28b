"""The command `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, LedgerFile, Offline, app


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, a file of records, or a dataset.")
    ],
    real: Annotated[
        str, typer.Option("--real", metavar="FILE", help="Real data: records or a dataset.")
    ] = "",
    text: Annotated[str, typer.Option("--text", metavar="COL", help="The texts' column.")] = "",
    label: Annotated[str, typer.Option("--label", metavar="COL", help="The labels' column.")] = "",
    real_text: Annotated[
        str, typer.Option("--real-text", metavar="COL", help="In the real data [--text].")
    ] = "",
    real_label: Annotated[
        str, typer.Option("--real-label", metavar="COL", help="In the real data [--label].")
    ] = "",
    test: Annotated[
        int | None, typer.Option("--test", min=1, metavar="N", help="Real rows to test on [half].")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="Training samples.")] = 5,
    ablate: Annotated[
        str, typer.Option("--ablate", metavar="A,B", help="Stages to leave out in turn.")
    ] = "",
    zero_shot: Annotated[
        str, typer.Option("--zero-shot", metavar="MODEL", help="Test this model's own labels too.")
    ] = "",
    perplexity: Annotated[
        str, typer.Option("--perplexity", metavar="MODEL", help="Score the texts under this model.")
    ] = "",
    fine_tune: Annotated[
        str, typer.Option("--fine-tune", metavar="MODEL", help="Train this model on the rows.")
    ] = "",
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="COL", help="For --fine-tune.")
    ] = "prompt",
    completion: Annotated[
        str, typer.Option("--completion", metavar="COL", help="For --fine-tune.")
    ] = "completion",
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="Fine-tune this BERT to classify too.")
    ] = "",
    embedder: Annotated[
        str, typer.Option("--embedder", metavar="NAME", help="Gives the vectors [the job's].")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Where to write the figures.")
    ] = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a dataset: by itself, beside real data, and as training data."""
    from pipelines.evaluation.evaluating import Wanted, show_evaluation
    from pipelines.launch import Options

    wanted = Wanted(
        run=run,
        real=real,
        text=text,
        label=label,
        real_text=real_text,
        real_label=real_label,
        test=test,
        seeds=seeds,
        ablate=tuple(filter(None, (name.strip() for name in ablate.split(",")))),
        zero_shot=zero_shot,
        perplexity=perplexity,
        fine_tune=fine_tune,
        columns=(prompt, completion),
        encoder=encoder,
        embedder=embedder,
    )
    show_evaluation(wanted, Options(ledger, offline), out=out, as_json=as_json)
