"""`pii`: finds personal data and rejects the row, or masks, replaces or flags them.

    - {kind: pii}                                              # reject rows that hold any
    - {kind: pii, fields: [text], entities: [email, phone], action: mask}
    - {kind: pii, action: replace, scope: family}

    {"text": "Mail jo@corp.com, card 4111 1111 1111 1111"}
    mask     ->  "Mail [EMAIL], card [CARD]"
    replace  ->  "Mail user3f2a9c01@example.com, card 4242 4213 0948 1126"

Patterns and check digits see what has a form. Names and addresses they see only where a title or a
street word gives them away; for those in running text name `ner: presidio`.
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from pipelines.rows import JSON, Fault
from pipelines.stages.base import STAGES, JobView
from pipelines.stages.safety import entities
from pipelines.stages.safety.spans import Redacting, Span, without_overlaps
from pipelines.stages.safety.stand_ins import stand_in
from prompts.errors import UsageError, unknown


@STAGES.register
class Pii(Redacting):
    """Reject, mask, replace or flag personal data.

    Attributes:
        entities: The kinds to look for; left out, all but `url`, `name` and `address`.
        ner: `presidio` also asks the named entity recognition of presidio-analyzer, which has to be
            installed, for `name` and `address`.
    """

    kind: Literal["pii"] = "pii"
    entities: tuple[str, ...] = entities.DEFAULT
    ner: Literal["", "presidio"] = ""

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Self:
        if not self.entities:
            raise UsageError("there is nothing to look for", fix="name a kind", key="entities")
        for index, kind in enumerate(self.entities):
            if kind not in entities.KINDS:
                raise unknown("entity", kind, list(entities.KINDS), key=f"entities.{index}")
        if self.ner and not {"name", "address"} & set(self.entities):
            fix = "add name or address to entities, or leave ner out"
            raise UsageError("ner looks for names and addresses only", fix=fix, key="ner")
        return self

    def check(self, job: JobView) -> None:
        """Whether the recogniser is installed, if one is asked for."""
        if self.ner:
            from pipelines.stages.safety.recogniser import check_installed

            check_installed()

    def find(self, text: str) -> list[Span]:
        """Personal data in a text."""
        found = entities.find(text, self.entities)
        if self.ner:
            from pipelines.stages.safety.recogniser import recognised

            found += recognised(text, self.entities)
        return without_overlaps(found)

    def stand_in(self, kind: str, value: str, key: str) -> str:
        """Made-up data of the kind."""
        return stand_in(kind, value, key)

    def fault(self, detail: Mapping[str, JSON]) -> Fault:
        """`personal_data`, with kinds, counts and places."""
        return Fault("personal_data", detail)
