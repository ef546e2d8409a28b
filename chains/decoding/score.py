"""Scoring a text instead of generating one: how likely is it as a reply?

    Call((Message("user", "Name a colour."),), Score(target="Blue."))
    Reply("Blue.", "stop", prompt_tokens=12, completion_tokens=3, logprob=-4.1)

Perplexities, the terms of a noisy channel and the likelihoods of choices are read from such calls.
"""

from typing import ClassVar, Literal

from pydantic import model_validator

from chains.decoding.base import STRATEGIES, Decoding


@STRATEGIES.register
class Score(Decoding):
    """The target comes back as the reply, with its log-probability under the model itself.

    The target's tokens are those that the tokenizer gives for it alone, special tokens left out:
    where a tokenizer would merge the prompt's end with the target's beginning, or the model spells
    the same text in other tokens, that is another sequence, and it is not counted in.

    Attributes:
        target: The text.
        end: Whether the tokenizer's end token is scored behind it, as that of a reply that the
            model has finished; without it the text may go on.
    """

    deterministic: ClassVar[bool] = True
    engine: ClassVar[int] = 2

    strategy: Literal["score"] = "score"
    target: str
    end: bool = True

    @model_validator(mode="after")
    def _only_scores(self) -> "Score":
        if not self.target and not self.end:
            raise ValueError("without a target and its end nothing is left to score")
        shared = Decoding.model_fields
        for name in sorted(self.model_fields_set & set(shared)):
            if getattr(self, name) != shared[name].get_default(call_default_factory=True):
                raise ValueError(f"leave {name} out: a score generates nothing")
        return self
