"""`subtopics`: a topic becomes a number of narrower ones, each a row: one level of a topic tree.

    - {kind: subtopics, model: writer, breadth: 4, name: branches}
    - {kind: subtopics, model: writer, breadth: 3, name: leaves}

    {"topic": "music"}
    ->  {"topic": "violin", "path": ["music", "instruments", "violin"]}, ...      12 rows

The model is asked for lines, told what it has named, and asked again until there are `breadth`
different ones. None of them is an ancestor, or only spelled otherwise than another.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chains.calls import Call, Reply
from chains.decoding import AnyDecoding, Sample
from chains.parsing import ParseFault, parse_reply
from pipelines.normalising import normalised
from pipelines.rows import Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, Embed, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from pipelines.stages.diversity.asking import chat_values, check_prompt
from pipelines.stages.shapes.asking import ask_once
from prompts.errors import UsageError
from prompts.prompt import Prompt

_GIVEN = {"count", "known", "path"}


@dataclass(slots=True)
class _Tree:
    """A topic with what is known around it."""

    path: list[str]
    found: list[str] = field(default_factory=list)

    def is_new(self, topic: str) -> bool:
        key = normalised(topic)
        return bool(key) and key not in map(normalised, [*self.path, *self.found])


@STAGES.register
class Subtopics(ModelStage):
    """Ask for narrower topics until there are enough.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt with output lines. Beside columns it may use `count` (how many are
            wanted still), `known` (a list of those found) and `path` (the ancestors and the topic).
        field: The column with the topic, which the narrower ones take over.
        adds: The column for the way there from the first topic, as a list.
        breadth: Topics wanted.
        least: Fewer are accepted down to this; left out, none fewer.
        most_words: Longer lines are passed over, as they are sentences.
        max_similarity: Cosine of embeddings from which on a topic is taken for one that is there;
            left out, spelling alone counts.
        attempts: How often the model is asked at most.
    """

    kind: Literal["subtopics"] = "subtopics"
    model: str
    prompt: str = "topic/subtopics"
    field: Annotated[str, Field(min_length=1)] = "topic"
    adds: Annotated[str, Field(min_length=1)] = "path"
    breadth: Annotated[int, Field(ge=1, le=100)] = 5
    least: Annotated[int, Field(ge=1)] | None = None
    most_words: Annotated[int, Field(ge=1)] = 6
    max_similarity: Annotated[float, Field(gt=0, le=1)] | None = None
    decoding: AnyDecoding = Sample(temperature=0.8, top_p=0.95, max_tokens=96)
    attempts: Annotated[int, Field(ge=1, le=100)] = 6

    @model_validator(mode="after")
    def _numbers_fit(self) -> "Subtopics":
        if self.least is not None and self.least > self.breadth:
            fix = f"at most breadth, {self.breadth}"
            raise UsageError(f"found {self.least}", fix=fix, key="least")
        if self.decoding.n != 1:
            fix = "leave it out; attempts says how often the model is asked"
            raise UsageError(f"found {self.decoding.n}", fix=fix, key="decoding.n")
        return self

    def columns_needed(self) -> set[str]:
        """The topic."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The way to it; the topic itself is another one than before."""
        return {self.adds, self.field}

    def uses_embedder(self) -> bool:
        """Whether likeness counts."""
        return self.max_similarity is not None

    def check(self, job: JobView) -> None:
        """The model and the prompt exist, and it answers with lines."""
        job.model(self.model, key="model")
        check_prompt(job, self.prompt, given={*_GIVEN, "topic"}, forms=("lines",))

    def work(self, row: Row, context: Context) -> Work:
        """Ask until there are enough, then make a row of each."""
        topic = read_text(row, self.field)
        if isinstance(topic, Fault):
            return [Rejection(row, topic.reason, topic.detail)]
        before = row.data.get(self.adds)
        tree = _Tree([str(step) for step in before] if isinstance(before, list) else [topic])
        asked = 0
        last: Reply | None = None
        while len(tree.found) < self.breadth and asked < self.attempts:
            last = yield from self._ask(row, topic, tree, asked, context)
            asked += 1
            new = list(_topics(last, context.prompt(self.prompt), self.most_words))
            yield from self._take(tree, new)
        if len(tree.found) < (self.least or self.breadth):
            return [self._too_few(row, tree, asked, last)]
        return self._children(row, tree, asked, context)

    def _ask(
        self, row: Row, topic: str, tree: _Tree, attempt: int, context: Context
    ) -> Generator[Request, Any, Reply]:
        given = {
            "topic": topic,
            "path": " > ".join(tree.path),
            "known": list(tree.found),
            "count": self.breadth - len(tree.found),
        }
        values = chat_values(context, self.prompt, row.data, given)
        messages = context.chat(context.prompt(self.prompt), values)
        call = Call(messages, self.decoding, context.seed(row, attempt))
        reply: Reply = yield from ask_once(self.model, call)
        return reply

    def _take(self, tree: _Tree, topics: Sequence[str]) -> Generator[Request, Any, None]:
        """Add those that are new, up to the breadth."""
        vectors: Any = None
        if self.max_similarity is not None and topics:
            vectors = yield Embed((*tree.path, *tree.found, *topics))
        known = list(range(len(tree.path) + len(tree.found)))
        for place, topic in enumerate(topics, start=len(known)):
            if len(tree.found) == self.breadth:
                return
            alike = vectors is not None and float((vectors[known] @ vectors[place]).max())
            if tree.is_new(topic) and not (alike and alike >= (self.max_similarity or 1)):
                tree.found.append(topic)
                known.append(place)

    def _too_few(self, row: Row, tree: _Tree, asked: int, last: Reply | None) -> Rejection:
        detail = {"found": tree.found, "wanted": self.least or self.breadth}
        said = "" if last is None else last.error or last.text
        return Rejection(row, "too_few_subtopics", {**detail, "reply": said}, asked)

    def _children(self, row: Row, tree: _Tree, asked: int, context: Context) -> list[Outcome]:
        event = {
            "stage": self.name,
            "parent": row.id,
            "prompt": context.prompt(self.prompt).label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
            "seed": context.seed(row, 0),
            "asked": asked,
        }
        return [
            row.child(self.name, index).with_data(
                {self.field: topic, self.adds: [*tree.path, topic]}, event
            )
            for index, topic in enumerate(tree.found)
        ]


def _topics(reply: Reply, prompt: Prompt, most_words: int) -> Iterator[str]:
    """The lines of a reply that can be topics; of one that was cut, all but the last."""
    parsed = None if reply.finish == "error" else parse_reply(prompt.output, reply.text)
    if parsed is None or isinstance(parsed, ParseFault):
        return
    lines = parsed.value[:-1] if reply.finish == "length" else parsed.value
    for line in lines:
        topic = line.split(":")[0].split(" - ")[0].strip(" .,;*\"'")
        if topic and len(topic.split()) <= most_words:
            yield topic
