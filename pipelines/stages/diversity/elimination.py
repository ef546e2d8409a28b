"""Why a step of `evolve` is taken back (Xu et al. 2023).

fault_of_step("Name three rivers.", "Name three rivers!", 0.85)
->  Fault("no_gain", {"similarity": 1.0})
fault_of_answer("Sorry, I have no way to know that.")
->  Fault("hard_to_answer", {"found": "sorry", "words": 9})
"""

import re

from pipelines.normalising import normalised
from pipelines.rows import Fault
from pipelines.stages.dedup.rouge import rouge_l
from pipelines.stages.heuristics.base import Text
from pipelines.stages.heuristics.refusal import Refusal

SHORT = 80
"""Words below which an answer that says sorry is an excuse."""

_SAYING_SORRY = re.compile(r"\b(?:sorry|apologi[sz]e)\b", re.I)
_PROMPT_WORDS = re.compile(
    r"\b(?:given|rewritten|original|evolved|created|new) (?:prompt|instruction)s?\b"
    r"|\brewrit(?:e|ten|ing)\b.{0,30}\binstructions?\b|#[\w ]{1,30}#",
    re.I,
)
_STOP_WORDS = """
    a an the and or but if of to in on at by for with from as is are was were be been it its this
    that these those i you he she we they me him her us them my your his our their not no yes so do
    does did have has had will would can could there here then than
"""


def fault_of_step(parent: str, text: str, max_similarity: float) -> Fault | None:
    """Why an evolved text is no step: it says what its parent does, or speaks of its own prompt."""
    words, before = normalised(text).split(), normalised(parent).split()
    similarity = rouge_l(words, before)
    if similarity >= max_similarity:
        return Fault("no_gain", {"similarity": round(similarity, 4)})
    leak = _PROMPT_WORDS.search(text)
    if leak and leak.group().casefold() not in parent.casefold():
        return Fault("prompt_words", {"found": leak.group()})
    return Refusal().find(Text(text)) or says_nothing(text)


def fault_of_answer(answer: str) -> Fault | None:
    """Why an answer shows that the instruction cannot be followed."""
    words = len(answer.split())
    sorry = _SAYING_SORRY.search(answer)
    if sorry and words < SHORT:
        return Fault("hard_to_answer", {"found": sorry.group().casefold(), "words": words})
    refusal = Refusal().find(Text(answer))
    if refusal is not None:
        return Fault("hard_to_answer", {**refusal.detail, "words": words})
    return says_nothing(answer)


def says_nothing(text: str) -> Fault | None:
    """`says_nothing` for a text of nothing but punctuation and stop words."""
    words = re.findall(r"\w+", text.casefold())
    if set(words) <= set(_STOP_WORDS.split()):
        return Fault("says_nothing", {"words": len(words)})
    return None
