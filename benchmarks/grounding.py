"""How often citations point at the right place, and which injected orders are seen.

`python -m benchmarks.grounding FOLDER` wants the data sets `qa_xquad`, `qa_covidqa` and
`inject_bipia` below FOLDER and takes some minutes, most of them for embeddings.
docs/quality.md keeps the figures.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from chains.embedding import open_embedder
from chains.retrieval import OwnResources
from chains.text.sentences import sentences
from pipelines.rows import JSON, Outcome, Row
from pipelines.stages import Cite, drive
from pipelines.stages.safety.injection_patterns import find

COVID_QUESTIONS = 200


class Question(NamedTuple):
    """A question with its answer at a character of its context."""

    question: str
    answer: str
    start: int
    context: str


def measure(folder: Path) -> Iterator[tuple[str, str]]:
    """Figures of citations, then of injected orders."""
    embedder = OwnResources(open_embedder("embedded"))
    for name, questions in (
        ("XQuAD", xquad(next(folder.rglob("xquad.en.json")))),
        ("COVID-QA", covid(next(folder.rglob("200423_covidQA.json")))),
    ):
        for label, settings in {
            "words": {"min_similarity": None},
            "words and meaning": {},
            "with the question": {"query": "question"},
            "words, with the question": {"query": "question", "min_similarity": None},
        }.items():
            stage = Cite(field="answer", min_share=0.8, **settings)
            yield from _cited(f"{name}, {label}", stage, questions, embedder)
    bipia = next(folder.rglob("inject_bipia"))
    yield from _attacks(bipia)
    yield from _clean(bipia, folder)


def xquad(path: Path) -> list[Question]:
    """All questions of a file in SQuAD's format."""
    paragraphs = [p for a in json.loads(path.read_text())["data"] for p in a["paragraphs"]]
    return [
        Question(one["question"], answer["text"], answer["answer_start"], paragraph["context"])
        for paragraph in paragraphs
        for one in paragraph["qas"]
        for answer in one["answers"][:1]
    ]


def covid(path: Path, window: int = 3_000) -> list[Question]:
    """Questions whose articles are cut to some characters around the answer, at white space."""
    drawn = random.Random(3).sample(xquad(path), COVID_QUESTIONS)
    cut = []
    for one in drawn:
        begin = max(0, one.start - window // 2)
        begin = one.context.find(" ", begin) + 1 if begin else 0
        end = one.context.rfind(" ", one.start + len(one.answer), one.start + window // 2)
        text = one.context[begin : end if end > 0 else None]
        cut.append(one._replace(context=text, start=one.start - begin))
    return cut


class _Context:
    """As much of a stage's context as `cite` asks for."""

    def __init__(self, embedder: OwnResources) -> None:
        self.embed = embedder.embed


def _cited(
    name: str, stage: Cite, questions: Sequence[Question], embedder: OwnResources
) -> Iterator[tuple[str, str]]:
    """Answers cited from their own sentence, and from the context of another question."""
    own = _outcomes(stage, questions, [one.context for one in questions], embedder)
    supported = [(q, o) for q, o in zip(questions, own, strict=True) if isinstance(o, Row)]
    right = sum(_holds(question, outcome) for question, outcome in supported)
    share = f"{right / len(questions):.3f} of {len(questions)} answers"
    yield f"{name}: cited from the answer's place", share
    yield f"{name}: of the citations right", f"{right / max(1, len(supported)):.3f}"
    strange = _strange(questions)
    others = _outcomes(stage, questions, strange, embedder)
    false = sum(isinstance(outcome, Row) for outcome in others)
    yield f"{name}: supported by a strange context", f"{false / len(questions):.3f}"


def _outcomes(
    stage: Cite, questions: Sequence[Question], contexts: Sequence[str], embedder: OwnResources
) -> list[Outcome]:
    rows = []
    for number, (one, context) in enumerate(zip(questions, contexts, strict=True)):
        data: dict[str, JSON] = {"question": one.question, "answer": one.answer}
        rows.append(Row(f"{number}", (number,), f"{number}", {**data, "context": context}))
    context = _Context(embedder)
    work = partial(stage.safe_work, context=context)  # type: ignore[arg-type]
    return [each[0] for each in drive([work(row) for row in rows], context)]  # type: ignore[arg-type]


def _holds(question: Question, row: Row) -> bool:
    """Whether the citations cover where the answer begins."""
    spans = [(one["start"], one["end"]) for one in row.data["citations"]]
    return any(start <= question.start < end for start, end in spans)


def _strange(questions: Sequence[Question]) -> list[str]:
    """For each question the context of another one that does not hold the answer."""
    draw = random.Random(5)
    contexts = sorted({one.context for one in questions})
    found = []
    for one in questions:
        context = draw.choice(contexts)
        while one.answer.casefold() in context.casefold():
            context = draw.choice(contexts)
        found.append(context)
    return found


def _attacks(bipia: Path) -> Iterator[tuple[str, str]]:
    """Attacks found inside of e-mails: at the beginning, between two sentences, at the end."""
    mails = _contexts(bipia / "email/train.jsonl")
    draw = random.Random(11)
    for name in ("text", "code"):
        attacks = json.loads((bipia / f"{name}_attack_train.json").read_text())
        total = 0
        for sort, texts in attacks.items():
            seen = sum(
                _seen(text, draw.choice(mails), place) for text in texts for place in range(3)
            )
            total += seen
            yield f"BIPIA {name}, {sort}: found in e-mails", f"{seen} of {3 * len(texts)}"
        whole = 3 * sum(map(len, attacks.values()))
        yield f"BIPIA {name}: found in e-mails", f"{total} of {whole}"


def _seen(attack: str, mail: str, place: int) -> bool:
    """Whether it is found on a line of its own before or behind the mail, or inside of a line."""
    parts = sentences(mail)
    half = len(parts) // 2
    before = ("", " ".join([*parts[:half], ""]), f"{mail}\n")[place]
    behind = (f"\n{mail}", " ".join(["", *parts[half:]]), "")[place]
    spans = find(before + attack + behind)
    return any(s.start < len(before) + len(attack) and s.end > len(before) for s in spans)


def _clean(bipia: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """False alarms in texts that nobody attacked."""
    sets = {
        "BIPIA e-mails": _contexts(bipia / "email/train.jsonl"),
        "BIPIA tables": _contexts(bipia / "table/train.jsonl"),
        "XQuAD paragraphs": sorted({q.context for q in xquad(next(folder.rglob("xquad.en.json")))}),
        "COVID-QA articles": sorted(
            {q.context for q in xquad(next(folder.rglob("200423_covidQA.json")))}
        ),
        "text files of docs_unstructured": [
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(next(folder.rglob("docs_unstructured")).rglob("*"))
            if path.suffix in {".txt", ".md", ".json", ".eml", ".csv", ".rst"} and path.is_file()
        ],
        "files of qa_product_manuals": [
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(next(folder.rglob("qa_product_manuals")).rglob("*"))
            if path.suffix in {".txt", ".md", ".json"}
        ],
    }
    for name, texts in sets.items():
        flagged = sum(bool(find(text)) for text in texts)
        characters = sum(map(len, texts))
        yield f"false alarms, {name}", f"{flagged} of {len(texts)} ({characters:,} characters)"


def _contexts(path: Path) -> list[str]:
    return [json.loads(line)["context"] for line in path.read_text().splitlines()]


if __name__ == "__main__":
    for figure in measure(Path(sys.argv[1])):
        print(f"  {figure[0]:<70} {figure[1]}", flush=True)
