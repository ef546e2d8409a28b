r"""`translate`: adds a copy of the row in another language, with its structure kept.

    - {kind: translate, fields: [question, answers], model: en_fr, back: fr_en}
    - {kind: translate, fields: [text], model: writer, language: German, adds: language,
       source: en, target: de}

    {"question": "Who is {name}?", "answers": ["- A man.\n- A dog."]}
    ->  itself, and {"question": "Qui est {name} ?", "answers": ["- Un homme.\n- Un chien."]}

Each line of each text in the columns is translated by itself, lists and objects included; list
marks, line breaks and keys never reach the model. A line whose placeholders, markup or numbers do
not come back is translated again in the pieces between them. `back` translates the copy back, and
the two have to mean the same.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Beam
from pipelines.cleaning import Cleaning
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.augment.base import check_text_prompt, reply_fault
from pipelines.stages.augment.structure import digits, has_words, lines, lost, pieces
from pipelines.stages.base import STAGES, Ask, Context, Embed, JobView, ModelStage, Request, Work
from pipelines.stages.safety.spans import Span, rewritten, texts
from prompts.errors import UsageError

GIVEN = {"text", "language"}
_LONG_ENOUGH = 4  # words; shorter texts, such as names, may be the same in both languages

Found = dict[str, str | Fault]
"""What became of each line: its translation, or why it has none."""


@STAGES.register
class Translate(ModelStage):
    """The row, and its copy in another language.

    Attributes:
        fields: The columns that are translated, with the texts inside of lists and objects.
        model: A translator of the job, or with `language` a chat model.
        language: The language to translate into, as the prompts say it.
        prefix: Put before every text for a translator; T5 needs "translate English to French: ".
        prompt: For a chat model: a prompt with the variables `text` and `language`.
        decoding: How the translation is decoded; the first reply is taken.
        back: A model that translates back; left out, nothing checks the meaning.
        back_prefix: As `prefix`.
        back_prompt: As `prompt`; its `language` is the same.
        similarity: The least cosine of a text and of its translation translated back, -1 to 1.
        numbers: Numbers in digits have to stay.
        keep_original: Give out the row itself too; else its copy takes its place.
        adds: A column for the language of each row; `source` and `target` are what it holds.
        source: What the row itself has there.
        target: What the copy has there.
    """

    kind: Literal["translate"] = "translate"
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    language: str = ""
    prefix: str = ""
    prompt: Annotated[str, Field(min_length=1)] = "translate/forward"
    decoding: AnyDecoding = Beam()
    back: str = ""
    back_prefix: str = ""
    back_prompt: Annotated[str, Field(min_length=1)] = "translate/back"
    similarity: Annotated[float, Field(ge=-1, le=1)] = 0.75
    numbers: bool = True
    keep_original: bool = True
    adds: str = ""
    source: str = ""
    target: str = ""

    @model_validator(mode="after")
    def _languages_are_named(self) -> Self:
        if bool(self.adds) != bool(self.source and self.target):
            raise ValueError(
                "'adds', 'source' and 'target' go together: adds: language, source: en"
            )
        return self

    def default_name(self) -> str:
        """The kind: the column it may add is not what it is about."""
        return self.kind

    def columns_needed(self) -> set[str]:
        """The columns that are translated."""
        return set(self.fields)

    def columns_added(self) -> set[str]:
        """The column of the language, if there is one."""
        return {self.adds} if self.adds else set()

    def uses_embedder(self) -> bool:
        """Whether the way back is compared."""
        return bool(self.back)

    def check(self, job: JobView) -> None:
        """The models exist, and so do the prompts where they are used."""
        job.model(self.model, key="model")
        if self.back:
            job.model(self.back, key="back")
        if self.language:
            _check_prompt(job, self.prompt, "prompt")
            if self.back:
                _check_prompt(job, self.back_prompt, "back_prompt")

    def work(self, row: Row, context: Context) -> Work:
        """The row, if it is kept, and its copy or the copy's rejection."""
        if missing := [column for column in self.fields if column not in row.data]:
            detail = {"column": missing[0], "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", detail)]
        own = row.child(self.name, 0)
        copy = row.child(self.name, int(self.keep_original))
        found = {
            path: text for field in self.fields for path, text in texts(row.data[field], field)
        }
        event = self._event(row, context)
        made = yield from self._translated([*found.values()], context, back=False)
        translations = {path: _joined(text, made) for path, text in found.items()}
        fault = self._fault(found, translations)
        if fault is None and self.back:
            fault = yield from self._round_trip(found, translations, context, event)
        columns = {field: _put(row.data[field], field, translations) for field in self.fields}
        mark = {self.adds: self.target} if self.adds else {}
        outcome = copy.with_data({**columns, **mark}, event)
        kept = [own.with_data({self.adds: self.source}) if self.adds else own]
        result = outcome if fault is None else Rejection(outcome, fault.reason, fault.detail)
        return [*(kept if self.keep_original else []), result]

    def _translated(
        self, found: Sequence[str], context: Context, *, back: bool
    ) -> Generator[Request, Any, Found]:
        """Each line as a whole, and those that lost something once more in pieces."""
        said = [line.said for text in found for line in lines(text) if has_words(line.said)]
        whole = yield from self._asked(said, context, back=back)
        broken = [line for line in whole if self._line_fault(line, whole[line])]
        parts = [part for line in broken for part in pieces(line)[::2] if has_words(part)]
        again = yield from self._asked([part.strip() for part in parts], context, back=back)
        for line in broken:
            whole[line] = _pieced(line, again)
        return whole

    def _asked(
        self, said: Sequence[str], context: Context, *, back: bool
    ) -> Generator[Request, Any, Found]:
        """The translation of each different text."""
        wanted = list(dict.fromkeys(said))
        if not wanted:
            return {}
        calls = tuple(Call(self._messages(t, context, back=back), self.decoding) for t in wanted)
        answers = yield Ask(self.back if back else self.model, calls)
        found: Found = {}
        for text, replies in zip(wanted, answers, strict=True):
            if not replies:
                found[text] = Fault("no_reply")
                continue
            fault = reply_fault(replies[0], self.decoding.max_tokens)
            reply = replies[0].text.strip()
            if self.language:
                reply = Cleaning(ending=False).clean(reply).text
            found[text] = fault or (reply.replace("\n", " ") or Fault("empty_translation"))
        return found

    def _messages(self, text: str, context: Context, *, back: bool) -> tuple[Message, ...]:
        if not self.language:
            return (Message("user", (self.back_prefix if back else self.prefix) + text),)
        prompt = context.prompt(self.back_prompt if back else self.prompt)
        given = {"text": text, "language": self.language}
        return context.chat(prompt, {name: given[name] for name in prompt.variables})

    def _line_fault(self, original: str, translation: str | Fault) -> Fault | None:
        if isinstance(translation, Fault):
            return translation
        if changed := lost(original, translation):
            return Fault("markup_changed", {"changed": [*changed]})
        before, after = digits(original), digits(translation)
        if self.numbers and before != after:
            changes = {"missing": sorted(before - after), "added": sorted(after - before)}
            return Fault("numbers_changed", changes)
        return None

    def _fault(
        self, found: Mapping[str, str], translations: Mapping[str, str | Fault]
    ) -> Fault | None:
        """The first text without a translation that can be taken."""
        for path, text in found.items():
            translation = translations[path]
            fault = self._line_fault(text, translation)
            if fault is not None:
                return Fault(fault.reason, {"text": path, **fault.detail})
            if len(text.split()) >= _LONG_ENOUGH and normalised(text) == normalised(
                str(translation)
            ):
                return Fault("not_translated", {"text": path})
        return None

    def _round_trip(
        self,
        found: Mapping[str, str],
        translations: Mapping[str, str | Fault],
        context: Context,
        event: dict[str, JSON],
    ) -> Generator[Request, Any, Fault | None]:
        """Whether each text, translated back, means what it meant."""
        there = {path: str(translations[path]) for path, text in found.items() if has_words(text)}
        if not there:
            return None
        made = yield from self._translated([*there.values()], context, back=True)
        again = {path: _joined(text, made) for path, text in there.items()}
        if failed := [path for path, text in again.items() if isinstance(text, Fault)]:
            return Fault("no_way_back", {"text": failed[0]})
        vectors = yield Embed((*(found[path] for path in there), *map(str, again.values())))
        cosines = (vectors[: len(there)] * vectors[len(there) :]).sum(1)
        event["round_trip"] = {p: round(float(c), 4) for p, c in zip(there, cosines, strict=True)}
        for path, cosine in event["round_trip"].items():
            if cosine < self.similarity:
                detail = {"text": path, "similarity": cosine, "least": self.similarity}
                return Fault("meaning_changed", {**detail, "back": again[path]})
        return None

    def _event(self, row: Row, context: Context) -> dict[str, JSON]:
        names = [name for name in (self.model, self.back) if name]
        event: dict[str, JSON] = {"stage": self.name, "operation": self.kind, "parent": row.id}
        event["models"] = [context.model_label(name) for name in names]
        if self.language:
            prompts = [self.prompt, *([self.back_prompt] if self.back else [])]
            event["prompts"] = [context.prompt(name).label for name in prompts]
            event["language"] = self.language
        return event


def _check_prompt(job: JobView, name: str, key: str) -> None:
    """Check that a prompt takes a text and a language, and nothing else."""
    check_text_prompt(job, name, key, given=GIVEN)
    if stray := sorted(set(job.prompt(name, key=key).variables) - GIVEN):
        fix = "take one of 'text' and 'language' alone"
        raise UsageError(f"prompt '{name}' wants '{stray[0]}' too", fix=fix, key=key)


def _joined(text: str, made: Found) -> str | Fault:
    """A text's lines put together again, or the fault of the first that has one."""
    done: list[str] = []
    for line in lines(text):
        said = made.get(line.said, line.said)
        if isinstance(said, Fault):
            return said
        done.append(line.mark + said + line.tail)
    return "\n".join(done)


def _pieced(line: str, made: Found) -> str | Fault:
    """A line whose pieces were translated; what stands between them, and white space, stays."""
    parts = pieces(line)
    for at in range(0, len(parts), 2):
        bare = parts[at].strip()
        said = made.get(bare, bare)
        if isinstance(said, Fault):
            return said
        parts[at] = parts[at].replace(bare, said, 1) if bare else parts[at]
    return "".join(parts)


def _put(value: JSON, path: str, translations: Mapping[str, str | Fault]) -> JSON:
    """A column's value with its texts translated."""
    done = {place: text for place, text in translations.items() if isinstance(text, str)}
    texts_of = dict(texts(value, path))
    turned = {text: done[place] for place, text in texts_of.items() if place in done}
    everywhere: dict[str, list[Span]] = {place: [] for place in texts_of}
    return rewritten(value, path, everywhere, lambda text, _: turned.get(text, text))
