"""Grammars as guides: a reply in JSON, one of several texts, or what a regular expression matches.

    GrammarSettings(form="choice", source='["yes", "no"]')

At every step only those tokens stay possible with which the reply can still be completed; the end
of the text is one of them exactly when the reply is complete. Where nothing but the end can
follow, the reply ends without it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from chains.decoding.base import Decoding
from chains.decoding.guide import Guide, GuideSettings
from prompts.errors import UsageError
from prompts.file_format import Output
from prompts.grammars import Form

if TYPE_CHECKING:
    from chains.decoding.search import Vocabulary


class GrammarSettings(GuideSettings):
    """Holds a reply to an output form.

    Attributes:
        form: Which one.
        source: Of the form, as `prompts.grammars.grammar_of` takes it.
    """

    kind: Literal["grammar"] = "grammar"
    form: Form
    source: str

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> Guide:
        """A guide at the beginning of a reply.

        Raises:
            ValueError: The model's tokens are not known to the grammar engine, or no reply of the
                form can be written with them.
        """
        from chains.decoding.grammar_guide import open_guide

        return open_guide(self, vocabulary)


def guides_for(output: Output) -> tuple[GuideSettings, ...]:
    """What every reply has to keep to so that `parse_reply` can read it; nothing for free text."""
    constraint = output.constraint()
    if constraint is None:
        return ()
    form, source = constraint
    return (GrammarSettings(form=form, source=source),)


def refuse_conflicts(output: Output, decoding: Decoding) -> None:
    """A form says itself where a reply ends: no other setting may.

    Raises:
        UsageError: `min_tokens` or `stop` beside a form that constrains decoding.
    """
    if output.constraint() is None:
        return
    for name, given in (("min_tokens", decoding.min_tokens > 0), ("stop", bool(decoding.stop))):
        if given:
            problem = f"{name} cannot be kept with output form {output.form}, which ends a reply"
            raise UsageError(problem, fix=f"leave {name} out", key=f"decoding.{name}")
