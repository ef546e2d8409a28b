"""`secrets`: finds keys, tokens and passwords and rejects the row, or masks, replaces, flags them.

- {kind: secrets}
- {kind: secrets, fields: [code], action: mask, entities: [aws_access_key, private_key]}

{"code": "token = 'ghp_...'"}   mask  ->  "token = '[GITHUB_TOKEN]'"
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import model_validator

from pipelines.rows import JSON, Fault
from pipelines.stages.base import STAGES
from pipelines.stages.safety import secret_patterns
from pipelines.stages.safety.spans import Redacting, Span
from pipelines.stages.safety.stand_ins import drawing
from prompts.errors import UsageError, unknown

_KEPT = 4  # characters at the beginning, which tell a reader what stood there


@STAGES.register
class Secrets(Redacting):
    """Reject, mask, replace or flag credentials.

    Attributes:
        entities: The kinds to look for; left out, all.
    """

    kind: Literal["secrets"] = "secrets"
    entities: tuple[str, ...] = secret_patterns.KINDS

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Self:
        if not self.entities:
            raise UsageError("there is nothing to look for", fix="name a kind", key="entities")
        for index, kind in enumerate(self.entities):
            if kind not in secret_patterns.KINDS:
                raise unknown("entity", kind, list(secret_patterns.KINDS), key=f"entities.{index}")
        return self

    def find(self, text: str) -> list[Span]:
        """Credentials in a text."""
        return secret_patterns.find(text, self.entities)

    def stand_in(self, kind: str, value: str, key: str) -> str:
        """Random characters of the same classes behind the first ones, which say what it is.

        Of a private key, whose header and footer are part of the match, a marker is left.
        """
        if kind == "private_key":
            return "[PRIVATE_KEY]"
        draw = drawing(key, kind, value)
        kept = _KEPT if len(value) >= 4 * _KEPT else 0
        return value[:kept] + "".join(_other(c, draw(26), draw(10)) for c in value[kept:])

    def fault(self, detail: Mapping[str, JSON]) -> Fault:
        """`secret`, with kinds, counts and places."""
        return Fault("secret", detail)


def _other(character: str, letter: int, digit: int) -> str:
    """Another character of the same class."""
    if not character.isascii() or not character.isalnum():
        return character
    if character.isdigit():
        return str(digit)
    return chr(ord("A" if character.isupper() else "a") + letter)
