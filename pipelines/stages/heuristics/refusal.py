r"""Replies that refuse, or talk of the model that writes them, instead of doing what was asked.

    "I'm sorry, but I cannot help with that request."   {"rule": "cannot_help", ...}
    "As an AI language model, I don't have feelings."   {"rule": "as_an_ai", ...}
    '"I\'m sorry, but I can\'t," said Anna.'            None: somebody speaks
    "I'm sorry I can't come to your party on Sunday."   None: nothing is refused to the reader

English. What stands in quotation marks or code is not looked at. Rules that a letter or a story
could meet as well count only at the beginning of a text.
"""
# ruff: noqa: RUF001 - quotation marks and dashes that look alike are all meant here

import re
from typing import NamedTuple

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, shown

_OPENING = 2  # sentences that are a text's beginning

_CANNOT = (
    r"\bi\s*(?:['’]m|\s+am)?\s*(?:really |truly |currently |simply |just )?"
    r"(?:can ?not|can['’]t|could not|couldn['’]t|unable to|not able to|won['’]t be able to"
    r"|will not be able to|not capable of|won['’]t|will not|must decline to|have to decline to)\s+"
    r"(?:in good conscience |directly |really |actually )?"
)
_SERVICE = (
    r"(?:assist(?:ing)?|fulfil+|comply|generat(?:e|ing)|creat(?:e|ing)|writ(?:e|ing)|produc(?:e|ing)"
    r"|provid(?:e|ing)|answer(?:ing)?|complet(?:e|ing)|support(?:ing)?|engag(?:e|ing)|discuss(?:ing)?"
    r"|offer(?:ing)?|estimate|retrieve|verify|predict|access(?:ing)?|brows(?:e|ing)|process(?:ing)?|perform(?:ing)?|respond(?:ing)?"
    r"|help you\b|help with|do that\b|do this\b|rewrite|summari[sz]e|translat(?:e|ing)|determine"
    r"|continue)"
)
_REQUEST = r"(?:this|that|the|your|such|any)\s+(?:\w+\s+)?(?:requests?|prompt|task|question|query)"
_MACHINE = (
    r"(?:an?\s+)?(?:(?:virtual|digital|text-based|large)\s+)?(?:ai|a\.i\.|artificial intelligence"
    r"|language model|llm|chatbot)\b"
)


class _Rule(NamedTuple):
    """A pattern, and whether it counts at the beginning of a text only."""

    name: str
    pattern: re.Pattern[str]
    opening: bool = False


def _rule(name: str, pattern: str, *, opening: bool = False) -> _Rule:
    return _Rule(name, re.compile(pattern, re.I), opening)


_RULES = (
    _rule(
        "as_an_ai",
        rf"(?<!such )\bas {_MACHINE}(?:\s+(?:language model|model|assistant|chatbot|system))*"
        r"(?:\s+(?:trained|developed|created) by \w+)?,?\s+(?:i|my|it is|it['’]s|here)\b",
    ),
    _rule(
        "i_am_an_ai",
        rf"\bi(?:['’]m| am)\s+(?:just |only |merely |simply )?{_MACHINE}"
        r"(?:\s+(?:language model|model|assistant|chatbot))*"
        r"(?:[,.]| and| so| trained| created| developed| designed| without| that| with no)",
    ),
    _rule("cannot_help", rf"{_CANNOT}(?:assist|help)(?:\s+you)?\s+with\b", opening=True),
    _rule("cannot_do", rf"{_CANNOT}{_SERVICE}", opening=True),
    _rule("cannot_do", rf"{_CANNOT}(?:fulfil+|comply with|complete|process|answer)\s+{_REQUEST}"),
    _rule(
        "no_access",
        r"\bi (?:do not|don['’]t|currently (?:do not|don['’]t)) have "
        r"(?:direct |any |the )?(?:access to|ability to access|capability to access) "
        r"(?:real[- ]time|current|up[- ]to[- ]date|live|the internet|external"
        r"|your (?:personal|files)"
        r"|personal (?:data|information)|specific information)",
    ),
    _rule(
        "no_self",
        r"\bi (?:do not|don['’]t|cannot|can['’]t) (?:have|possess|hold|experience) "
        r"(?:any |the ability to (?:have |feel )?)?"
        r"(?:personal |human |real |physical |subjective )*"
        r"(?:opinions?|feelings?|beliefs?|emotions?|preferences?|experiences?|consciousness)\b"
        r"(?=[^.!?]{0,40}(?:[.!?]|, (?:but|so)|\bas an? ai\b|\blike humans?\b))",
        opening=True,
    ),
    _rule(
        "model_talk",
        r"\bmy (?:training data|knowledge cut-?off|programming (?:does|doesn|do))"
        r"|\bas of my (?:last|latest|most recent) (?:knowledge |training )?(?:update|cut-?off)"
        r"|\bi was (?:trained|created|developed) by (?:openai|anthropic|google|meta|mistral)",
    ),
    _rule(
        "inappropriate",
        r"\bit (?:is|would be|['’]s) (?:not appropriate|inappropriate|unethical|not ethical) "
        r"(?:for me )?to (?:provide|generate|create|write|assist|make|discuss|answer|offer)"
        r"|\bgoes against my (?:guidelines|programming|policy|policies|ethical)",
        opening=True,
    ),
    _rule(
        "no_input",
        r"\b(?:sorry|apologi[sz]e|unfortunately)\b[^.!?]{0,40}\byou (?:did not|didn['’]t|have not"
        r"|haven['’]t|need to) (?:provide|include|specif|mention|give|share)",
        opening=True,
    ),
    _rule(
        "asks_back",
        r"\b(?:please|could you|can you)(?: please)? (?:provide|share|give|paste|send)(?: me)?"
        r"(?: with)? (?:the|your|more|some|a|an) (?:[\w-]+ ){0,2}"
        r"(?:text|passage|sentence|article|input|paragraph|document|code|context|question|list|prompt"
        r"|information|details)\b[^.?!]{0,60}"
        r"(?:\bso (?:that )?i can|\byou(?:['’]d| would)? (?:want|like|need)|\bfor me to\b)",
        opening=True,
    ),
)


class Refusal(Check):
    """Refusals, disclaimers of a model about itself, and questions back instead of a reply."""

    def find(self, text: Text) -> Fault | None:
        """`refusal`, with the rule and the words that it found."""
        opening = _beginning(text)
        for rule in _RULES:
            found = rule.pattern.search(opening if rule.opening else text.own_words)
            if found:
                return Fault("refusal", {"rule": rule.name, "found": shown(found.group())})
        return None


def _beginning(text: Text) -> str:
    """The first sentences, without what is quoted in them."""
    return " ".join(Text(text.own_words).sentences[:_OPENING])
