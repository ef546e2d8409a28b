"""`evaluate`: everything that is measured of one dataset, in one JSON object.

    evaluation = evaluate(Wanted(run="outputs/sentiment-1", real="reviews.jsonl"), Options())
    evaluation["downstream"]["vectors"]["synthetic"]     # {"accuracy": 0.741, "low": 0.71, ...}

It lands as `evaluation.json` in the run folder, written whole or not at all. It holds no time and
no absolute path, and the same data and versions give the same bytes.
"""

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from chains.calls import Call, Message
from chains.decoding.score import Score
from pipelines.calling import Caller
from pipelines.console import say, show, show_json
from pipelines.evaluation.ablation import ablate, without
from pipelines.evaluation.downstream import (
    Task,
    learning_curve,
    split_task,
    train_and_test,
)
from pipelines.evaluation.encoding import train_encoder
from pipelines.evaluation.fine_tuning import tuned
from pipelines.evaluation.intrinsic import SAMPLE, measure_itself
from pipelines.evaluation.loading import Texts, load_texts, open_evaluated
from pipelines.evaluation.reference import compare
from pipelines.evaluation.report import lines
from pipelines.evaluation.sampling import places
from pipelines.evaluation.zero_shot import asking_of, zero_shot
from pipelines.files import write_atomically
from pipelines.job import LoadedJob
from pipelines.launch import Options, reopen
from pipelines.ledger import Ledger
from pipelines.rows import JSON
from pipelines.stages.base import Ask
from prompts.errors import UsageError

FILE = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is evaluated, and how.

    Attributes:
        run: A run, a file of records or a dataset.
        real: A file of records or a dataset to compare with; empty for none.
        text: The column with texts; of `real` too, unless `real_text` names it.
        label: The column with labels; of `real` too, unless `real_label` names it.
        test: Real rows to test on; left out, half of them.
        seeds: Training samples.
        ablate: Stages to leave out in turn.
        zero_shot: A model of the job whose own labels are tested too.
        perplexity: A model of the job that texts are scored under.
        fine_tune: A model of the job that is trained on the rows and tested on real ones.
        columns: For that, the columns of prompt and completion in both.
        encoder: A BERT-like encoder that is fine-tuned as a classifier too; empty for none.
        embedder: Gives the vectors; empty takes the job's.
    """

    run: str
    real: str = ""
    text: str = ""
    label: str = ""
    real_text: str = ""
    real_label: str = ""
    test: int | None = None
    seeds: int = 5
    ablate: tuple[str, ...] = ()
    zero_shot: str = ""
    perplexity: str = ""
    fine_tune: str = ""
    columns: tuple[str, str] = ("prompt", "completion")
    encoder: str = ""
    embedder: str = ""


def show_evaluation(wanted: Wanted, options: Options, *, out: Path | None, as_json: bool) -> None:
    """Evaluate, write `evaluation.json`, and show the figures.

    Raises:
        UsageError: As `evaluate`.
    """
    evaluation = evaluate(wanted, options, progress=say)
    run = open_evaluated(wanted.run)
    target = out or (run.path / FILE if run else None)
    if target is not None:
        write_atomically(target, json.dumps(evaluation, ensure_ascii=False, indent=2) + "\n")
    if as_json:
        show_json(evaluation)
    else:
        show("\n".join(lines(evaluation)))


def evaluate(
    wanted: Wanted, options: Options, progress: Callable[[str], None] = lambda said: None
) -> dict[str, JSON]:
    """All figures that are wanted.

    Raises:
        UsageError: A column, label, stage or model is not there, or there are too few rows.
        SourceError: The real data cannot be read.
    """
    made = load_texts(wanted.run, text=wanted.text, label=wanted.label)
    run = open_evaluated(wanted.run)
    loaded = reopen(run) if run else None
    _check(wanted, loaded)
    real = _real(wanted, made)
    task = (
        split_task(made, real, test=wanted.test) if real and made.labels and real.labels else None
    )
    if wanted.encoder and task is None:
        fix = "name the labels' columns with --label and --real-label"
        raise UsageError("it needs labels in both sets", fix=fix, key="--encoder")
    with ExitStack() as stack:
        if options.ledger is None and run is not None:
            options = replace(options, ledger=run.path.parent / "ledger.sqlite")
        elif options.ledger is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options = replace(options, ledger=Path(folder) / "ledger.sqlite")
        assert options.ledger is not None
        ledger = stack.enter_context(Ledger(options.ledger))
        caller = stack.enter_context(closing(_caller(wanted, loaded, ledger, options)))
        found: dict[str, JSON] = {"data": _about(made), "embedder": caller.embedder().fingerprint}
        progress(f"{len(made)} rows by themselves")
        found["itself"] = measure_itself(made, caller.embed)
        if wanted.perplexity:
            found["itself"]["perplexity"] = perplexity(made.texts, wanted.perplexity, caller)
        if real is not None:
            progress(f"beside {len(real)} real rows")
            found |= {"real": _about(real), "reference": compare(made, real, caller.embed)}
        if task is not None:
            found["downstream"] = _downstream(wanted, task, caller, loaded, options, progress)
        if task is not None and wanted.ablate and loaded is not None:
            progress(f"without {', '.join(wanted.ablate)}")
            found["ablation"] = _ablation(wanted, task, caller, loaded, options)
        if wanted.fine_tune and loaded is not None:
            progress(f"fine-tuning {wanted.fine_tune}")
            spec = loaded.model(wanted.fine_tune)
            found["fine_tuning"] = tuned(
                wanted.run, wanted.real, wanted.columns, spec, offline=options.offline
            )
    return found


def _check(wanted: Wanted, loaded: LoadedJob | None) -> None:
    """Refuse what cannot be done before anything is loaded."""
    for key, value in (
        ("--ablate", wanted.ablate),
        ("--zero-shot", wanted.zero_shot),
        ("--perplexity", wanted.perplexity),
        ("--fine-tune", wanted.fine_tune),
    ):
        if value and loaded is None:
            raise UsageError("it needs a job", fix="evaluate a run folder", key=key)
        if value and not wanted.real and key != "--perplexity":
            raise UsageError("it needs real data", fix="give --real", key=key)
    if wanted.encoder and not wanted.real:
        raise UsageError("it needs real data", fix="give --real", key="--encoder")
    if loaded is not None:
        for stage in wanted.ablate:
            without(loaded, stage)
        for key, model in (
            ("--zero-shot", wanted.zero_shot),
            ("--perplexity", wanted.perplexity),
            ("--fine-tune", wanted.fine_tune),
        ):
            if model:
                loaded.model(model, key=key)


def _real(wanted: Wanted, made: Texts) -> Texts | None:
    if not wanted.real:
        return None
    label = wanted.real_label or wanted.label
    needed = bool(wanted.real_label or (wanted.label and made.labels) or wanted.zero_shot)
    text = wanted.real_text or wanted.text
    return load_texts(wanted.real, text=text, label=label, labelled=needed)


def _caller(wanted: Wanted, loaded: LoadedJob | None, ledger: Ledger, options: Options) -> Caller:
    embedder = wanted.embedder or (loaded.job.embedder if loaded else "embedded")
    specs = loaded.job.models if loaded else {}
    return Caller(specs, embedder, ledger, offline=options.offline)


def _about(data: Texts) -> dict[str, JSON]:
    return {
        "source": data.source,
        "column": data.column,
        "rows": len(data),
        "blank": data.blank,
        "unlabelled": data.unlabelled,
    }


def perplexity(texts: Sequence[str], model: str, caller: Caller) -> dict[str, JSON]:
    """Perplexity under a model, per token: of all tokens together, and the median of the texts.

    Raises:
        UsageError: The model tells no log-probabilities.
    """
    chosen = [texts[place] for place in places(texts, SAMPLE)]
    silence = (Message("user", ""),)
    calls = tuple(Call(silence, Score(target=text)) for text in chosen)
    replies = [found[0] for found in caller.answer(Ask(model, calls))]
    scored = [(r.logprob, r.completion_tokens) for r in replies if r.logprob is not None]
    if not scored:
        fix = "name a local model"
        raise UsageError(f"model '{model}' tells no likelihoods", fix=fix, key="--perplexity")
    each = sorted(-logprob / count for logprob, count in scored)
    whole = -math.fsum(logprob for logprob, _ in scored) / sum(count for _, count in scored)
    return {
        "corpus": round(math.exp(whole), 2),
        "median": round(math.exp(each[len(each) // 2]), 2),
        "texts": len(scored),
    }


def _downstream(
    wanted: Wanted,
    task: Task,
    caller: Caller,
    loaded: LoadedJob | None,
    options: Options,
    progress: Callable[[str], None],
) -> dict[str, JSON]:
    found = train_and_test(task, caller.embed, seeds=wanted.seeds, progress=progress)
    found["curve"] = learning_curve(task, caller.embed, seeds=wanted.seeds)
    if wanted.encoder:
        found["encoder"] = train_encoder(
            task, wanted.encoder, seeds=wanted.seeds, offline=options.offline, progress=progress
        )
    if wanted.zero_shot and loaded is not None:
        progress("the generator's own labels")
        asking = asking_of(loaded, wanted.zero_shot, task.labels)
        found["zero_shot"] = zero_shot(task, asking, options)
    return found


def _ablation(
    wanted: Wanted, task: Task, caller: Caller, loaded: LoadedJob, options: Options
) -> list[dict[str, JSON]]:
    def measure(made: Texts) -> dict[str, JSON]:
        smaller = replace(task, made=made)
        found = train_and_test(smaller, caller.embed, seeds=wanted.seeds)
        return {"vectors": found["vectors"]["synthetic"], "words": found["words"]["synthetic"]}

    columns = (task.made.column, wanted.label or "label")
    return ablate(loaded, wanted.ablate, options, columns, measure)


__all__ = ["FILE", "Wanted", "evaluate", "perplexity", "show_evaluation"]
