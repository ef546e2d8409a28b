r"""Pieces of a prompt or of a chat template in a text.

"Blue.<|im_end|>"                          {"rule": "template_token", "found": "<|im_end|>"}
"### Instruction: Name a colour."          {"rule": "section_label", "found": "### Instruction:"}
"Blue.\nUser: And another?"                {"rule": "role_label", "found": "User:"}
"Dear {{ name }}"                          {"rule": "placeholder", "found": "{{ name }}"}
"I was told to answer in one short sentence and no more."
                                           {"rule": "instructions", ...} with `prompt`
"""
# ruff: noqa: RUF001 - quotation marks and dashes that look alike are all meant here

import re
from typing import Annotated

from pydantic import Field

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, bare_words, measured, shown

_RULES = (
    (
        "template_token",
        re.compile(
            r"<\|[a-z][a-z0-9_]{1,30}\|>|\[/?INST\]|<</?SYS>>|</?s>(?!\w)"
            r"|<(?:start|end)_of_(?:turn|text)>|<(?:bos|eos|pad|unk)>|<｜[^｜\n]{1,40}｜>",
            re.I,
        ),
    ),
    (
        "section_label",
        re.compile(
            r"^[ \t]*#{2,4} ?(?:instructions?|response|input|output|system|user|assistant|human"
            r"|context|prompt|task)[ \t]*:",
            re.I | re.M,
        ),
    ),
    ("placeholder", re.compile(r"\{\{ ?[a-z_][\w.]{0,40}(?: ?\|[^{}\n]{1,40})? ?\}\}|\{%-? ?\w+")),
)
_SHORTEST = 5  # words of a sentence of the prompt that are too many for chance
_ROLE = re.compile(r"^[ \t]*[*_]{0,2}(?:User|Human|Assistant|System|Chatbot)[*_]{0,2} ?:", re.M)


class PromptLeak(Check):
    """Tokens and labels of chat templates, variables that were not filled in, words of the prompt.

    Attributes:
        roles: Also look for the labels User, Human, Assistant, System and Chatbot at the beginning
            of a line; false for dialogues.
        copied: With the stage's `prompt`: so many of its words in a row are a copy. A sentence of
            the prompt with fewer counts as a whole, from five words on.
    """

    roles: bool = True
    copied: Annotated[int, Field(ge=5)] = 10

    def find(self, text: Text) -> Fault | None:
        """`prompt_leak`, with the rule and what it found."""
        for rule, pattern in _RULES:
            if found := pattern.search(text.prose):
                return Fault("prompt_leak", {"rule": rule, "found": shown(found.group())})
        if self.roles and (found := _ROLE.search(text.prose)):
            return Fault("prompt_leak", {"rule": "role_label", "found": shown(found.group())})
        return self._copied(text)

    def _copied(self, text: Text) -> Fault | None:
        spaced = f" {' '.join(text.words)} "
        for sentence in text.instructions:
            said = bare_words(sentence)
            size = min(self.copied, len(said))
            if size < _SHORTEST:
                continue
            for start in range(len(said) - size + 1):
                piece = " ".join(said[start : start + size])
                if f" {piece} " in spaced:
                    return Fault("prompt_leak", measured("instructions", size, size, piece))
        return None
