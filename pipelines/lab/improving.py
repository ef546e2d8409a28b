"""`prompts improve`: a model reads where a prompt fails and rewrites it; other rows are the judge.

    found = improve(loaded, Wish("question", proposals=4), options)
    found.tried[0].fate        # "lost a variable: context"
    found.winner.source        # the text of a prompt file, or found.winner is None

The rows that reach the stage are parted in two. On the first part the prompt as it is fails in some
rows; their prompts, replies and reasons go to the model, which proposes new instructions (as GEPA
does, Agrawal et al. 2025). A proposal that changes what the prompt may say about a row, its
variables, is refused. The proposals are tried on the same rows again, and the best of them meets
the old prompt on the second part, which nobody has seen: it wins only where `compare` shows a
difference there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import yaml

from chains.calls import Call, Message
from chains.decoding import Sample
from pipelines.calling import Caller
from pipelines.files import dump_yaml
from pipelines.job import LoadedJob, build_job
from pipelines.lab.cells import rows_at, stage_named
from pipelines.lab.compare import Plan, compare
from pipelines.lab.results import Cell, Comparison, Contrast
from pipelines.lab.variants import prompt_of
from pipelines.launch import Options
from pipelines.rows import Row, seed_for
from pipelines.stages import Ask
from prompts.errors import TextmillError, UsageError
from prompts.prompt import Prompt, load_prompt

ASKING = "improve/rewrite"
"""The prompt that asks for a new instruction."""

DRAFT = "lab/proposal"
_SHOWN = 600  # characters of a reply or a value that the model reads
_GROWTH = 4  # times that a proposal may be longer than what it replaces, 400 characters at least


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be improved, and how hard.

    Attributes:
        stage: Name of the stage whose prompt it is.
        writer: Name of the job's model that proposes; empty for the stage's own.
        rows: Rows that reach the stage; one half to learn from, the other to judge by.
        proposals: New texts asked for in a round.
        rounds: The next one starts from the best proposal of the one before.
        failures: Failing rows that the model is shown.
    """

    stage: str
    writer: str = ""
    rows: int = 40
    proposals: int = 4
    rounds: int = 2
    failures: int = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """A text that the model proposed.

    Attributes:
        source: The prompt file with it; empty where it was refused.
        fate: Why it was refused, or how it did on the rows that were learned from.
        accepted: Share of these rows' outcomes that were accepted, 0 to 1.
    """

    source: str
    fate: str
    accepted: float = -1.0


@dataclass(frozen=True, slots=True)
class Improved:
    """What came of it.

    Attributes:
        prompt: The prompt's name.
        before: Share accepted on the rows that were learned from, with the prompt as it is.
        tried: Every proposal, in order.
        contrast: The best one against the prompt as it is, on the rows that judge; None where none
            was worth it.
        winner: The one to keep; None where no difference was shown.
    """

    prompt: str
    before: float
    tried: list[Proposal] = field(default_factory=list)
    contrast: Contrast | None = None
    winner: Proposal | None = None


def improve(
    loaded: LoadedJob,
    wish: Wish,
    caller: Caller,
    tell: Callable[[str], None] = lambda text: None,
) -> Improved:
    """Propose, try, and judge.

    Args:
        loaded: The job.
        wish: What is to be improved.
        caller: Models of the job, which the proposer is one of.
        tell: Told what goes on.

    Raises:
        UsageError: The stage has no prompt, or too few rows reach it.
        TextmillError: A source or a model failed.
    """
    loaded.check()
    name = prompt_of(loaded.job.stages[stage_named(loaded, wish.stage)])
    if not name:
        raise UsageError(f"stage '{wish.stage}' has no prompt", fix="name one that has")
    rows = rows_at(loaded, wish.stage, wish.rows, caller, lambda stage: None)
    if len(rows) < 4:
        raise UsageError(f"only {len(rows)} rows reach the stage", fix="give the job more rows")
    learn, judge = rows[::2], rows[1::2]
    work = _Work(loaded, wish, caller, tell)
    now = loaded.prompt(name)
    cells = work.tried(now.source, learn)
    before = best_share = _share(cells)
    tried: list[Proposal] = []
    best: Proposal | None = None
    for number in range(wish.rounds):
        if best_share == 1:
            break
        found = work.propose(now, cells, learn, number)
        tried += found
        top = max(found, key=lambda proposal: proposal.accepted, default=None)
        if top is None or top.accepted <= best_share:
            break
        best, best_share = top, top.accepted
        now = Prompt.parse(name, top.source)
        cells = work.tried(top.source, learn)
    if best is None:
        return Improved(name, before, tried)
    contrast = work.judged(best.source, judge)
    won = contrast.shown and contrast.difference > 0
    return Improved(name, before, tried, contrast, best if won else None)


class _Work:
    def __init__(
        self, loaded: LoadedJob, wish: Wish, caller: Caller, tell: Callable[[str], None]
    ) -> None:
        self.loaded = loaded
        self.wish = wish
        self.caller = caller
        self.tell = tell

    def propose(
        self, prompt: Prompt, cells: Sequence[Cell], rows: Sequence[Row], number: int
    ) -> list[Proposal]:
        """Ask for new texts and try those that keep the prompt's variables."""
        asking = load_prompt(ASKING)
        place = rewritten(prompt)
        values = {
            "instruction": prompt.messages[place].content.strip(),
            "variables": sorted(used_in(prompt, place)),
            "failures": self._failures(cells, rows),
        }
        messages = tuple(Message(role, text) for role, text in asking.render(values))
        decoding = Sample(temperature=0.9, top_p=0.95, max_tokens=400)
        seeds = [
            seed_for(self.loaded.seed, "improve", str(number), reply=reply)
            for reply in range(self.wish.proposals)
        ]
        calls = tuple(Call(messages, decoding, seed) for seed in seeds)
        stage = self.loaded.job.stages[stage_named(self.loaded, self.wish.stage)]
        model = self.wish.writer or getattr(stage, "model", "")
        answers = self.caller.answer(Ask(model, calls))
        return [self._proposal(prompt, place, replies[0].text, rows) for replies in answers]

    def tried(self, source: str, rows: Sequence[Row]) -> list[Cell]:
        """The cells of a prompt's text on the rows."""
        found = self._compare(source, rows)
        return [cell for cell in found.cells if cell.variant == 1]

    def judged(self, source: str, rows: Sequence[Row]) -> Contrast:
        """The text against the prompt as it is."""
        found = self._compare(source, rows)
        return next(each for each in found.contrasts if each.measure == "accepted")

    def _compare(self, source: str, rows: Sequence[Row]) -> Comparison:
        data = self.loaded.job.as_data()
        data["prompts"] |= {DRAFT: source}
        made = LoadedJob(build_job(data), self.loaded.document, self.loaded.folder)
        plan = Plan(self.wish.stage, variants=("current", DRAFT), rows=len(rows))
        return compare(made, plan, Options(), caller=self.caller, rows=rows)

    def _proposal(self, prompt: Prompt, place: int, text: str, rows: Sequence[Row]) -> Proposal:
        source, fault = rewrite(prompt, place, text)
        if fault:
            self.tell(f"a proposal was refused: {fault}")
            return Proposal("", fault)
        share = _share(self.tried(source, rows))
        self.tell(f"a proposal: {share:.0%} accepted")
        return Proposal(source, f"{share:.0%} accepted", round(share, 6))

    def _failures(self, cells: Sequence[Cell], rows: Sequence[Row]) -> list[dict[str, str]]:
        """Some failing rows: what the row holds, what was replied, why that was refused."""
        by_id = {row.id: row for row in rows}
        found = []
        for cell in cells:
            bad = next((outcome for outcome in cell.outcomes if not outcome.accepted), None)
            if bad is not None and cell.row in by_id:
                reason = " ".join(f"{bad.stage}: {bad.reason}".replace("_", " ").split())
                shown = cell.messages[-1][1] if cell.messages else ""
                found.append(
                    {"input": shown[-_SHOWN:], "reply": bad.text[:_SHOWN], "reason": reason}
                )
        return found[: self.wish.failures]


def rewritten(prompt: Prompt) -> int:
    """Place of the message that is rewritten: the longest one, of equal ones the last."""
    lengths = [(len(message.content), place) for place, message in enumerate(prompt.messages)]
    return max(lengths)[1]


def used_in(prompt: Prompt, place: int) -> frozenset[str]:
    """The variables that one message of a prompt uses."""
    from prompts.template import Template

    return frozenset(Template(prompt.messages[place].content).variables)


def rewrite(prompt: Prompt, place: int, reply: str) -> tuple[str, str]:
    """The prompt's file with a reply as one of its messages, and why that cannot be.

    Returns:
        Source and fault; one of the two is empty.
    """
    text = _unwrapped(reply)
    old = prompt.messages[place].content.strip()
    if not text:
        return "", "empty"
    if text == old:
        return "", "the same text"
    if len(text) > max(_GROWTH * len(old), 400):
        return "", f"{len(text)} characters are too many"
    data = yaml.safe_load(prompt.source)
    data["messages"][place]["content"] = text + "\n"
    source = dump_yaml(data)
    try:
        made = Prompt.parse(DRAFT, source)
        lost = used_in(prompt, place) - used_in(made, place)
    except TextmillError as exc:
        return "", exc.problem
    return ("", f"lost a variable: {min(lost)}") if lost else (source, "")


def _unwrapped(reply: str) -> str:
    """The text between the marks that were asked for, or all of it."""
    _, opened, rest = reply.partition("<instruction>")
    return (rest.partition("</instruction>")[0] if opened else reply).strip()


def _share(cells: Sequence[Cell]) -> float:
    return sum(cell.accept_rate for cell in cells) / len(cells) if cells else 0.0
