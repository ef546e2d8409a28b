"""`grounded`: keeps texts whose words and numbers are found in the source they should rest on.

    - {kind: grounded, field: answer, against: context}
    - {kind: grounded, field: answer, against: [context, question], min_share: 0.8}

    context "The stove burns for 70 minutes."   answer "It burns for 90 minutes."
    rejected: {"reason": "not_grounded", "detail": {"share": 1.0, "missing": ["90"]}}

A lexical check: it sees invented names and numbers, and neither a false statement made of the
source's own words nor a true one in words of its own.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipelines.numbers import numbers
from pipelines.rows import JSON, Fault, Row
from pipelines.stages.base import STAGES, Filter
from pipelines.stages.columns import SourceColumns, listed, read_text, strings

_WORD = re.compile(r"[^\W\d_]+")
_APOSTROPHE = re.compile(r"['’](?:s|re|ve|ll|d|m|t)\b", re.I)  # noqa: RUF001
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_ENDINGS = (
    ("ies", "y"), ("sses", "ss"), ("ings", ""), ("ing", ""), ("edly", ""), ("ed", ""), ("es", ""),
    ("s", ""), ("ly", ""), ("e", ""),
)  # fmt: skip
_STOP_WORDS = frozenset(
    word
    for line in (
        "a an the this that these those such same other another each every either neither both",
        "all any some no none not nor only own few more most much many less least several one",
        "ones i me my mine myself we us our ours ourselves you your yours yourself yourselves he",
        "him his himself she her hers herself it its itself they them their theirs themselves",
        "what which who whom whose when where why how whether if then else than as so because",
        "since while until unless although though however therefore thus hence moreover also too",
        "very just and or but of at by for with about against between among into through during",
        "before after above below over under again further to from up down in out on off within",
        "without upon per toward towards across along around near onto via am is are was were be",
        "been being do does did doing done have has had having can could will would shall should",
        "may might must ought cannot isn aren wasn weren don doesn didn haven hasn hadn won",
        "wouldn shan shouldn couldn mustn there here now yet still even ever never always often",
        "sometimes usually etc yes well quite rather really according based given like use used",
        "uses using zero two three four five six seven eight nine ten eleven twelve thirteen",
        "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty",
        "seventy eighty ninety hundred thousand million billion trillion st nd rd th",
    )
    for word in line.split()
)  # number words are among them because numbers are compared as numbers


@STAGES.register
class Grounded(Filter):
    """Reject a text that says too much of which the source says nothing.

    Attributes:
        field: The column to check.
        against: The column with the source, or several; lists and objects are searched for text.
        min_share: The least share, 0 to 1, of the text's different content words whose stem is in
            the source. Stop words (English) do not count. Every number must be there in any case.
        beyond: A column that the text must go beyond, such as the question of an answer: without a
            content word or number of its own it is rejected.
    """

    kind: Literal["grounded"] = "grounded"
    field: Annotated[str, Field(min_length=1)]
    against: SourceColumns = "context"
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    beyond: str = ""

    def columns_needed(self) -> set[str]:
        """The column to check and those with the source."""
        return {self.field, *listed(self.against), *([self.beyond] if self.beyond else [])}

    def fault(self, row: Row) -> Fault | None:
        """`not_grounded` with the share found and what is missing, or `nothing_new`."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return text
        missing_columns = [column for column in listed(self.against) if column not in row.data]
        if missing_columns:
            return Fault("missing_column", {"column": missing_columns[0]})
        source = "\n".join(s for column in listed(self.against) for s in strings(row.data[column]))
        share, missing = unsupported(text, source)
        strange = sorted(numbers(text) - numbers(source))
        if share < self.min_share or strange:
            found = {"share": round(share, 4), "missing": [*strange, *missing]}
            return Fault("not_grounded", found)
        if self.beyond and not self._adds(text, row.data.get(self.beyond, "")):
            return Fault("nothing_new", {"beyond": self.beyond})
        return None

    @staticmethod
    def _adds(text: str, said: JSON) -> bool:
        """Whether `text` has a content word or a number that `said` has not."""
        before = "\n".join(strings(said))
        return bool(unsupported(text, before)[1] or numbers(text) - numbers(before))


def unsupported(text: str, source: str) -> tuple[float, list[str]]:
    """The share of `text`'s content words that `source` has, and those that it has not."""
    known = {stem(word) for word in content_words(source)}
    words = {stem(word): word for word in reversed(list(content_words(text)))}
    missing = [word for stemmed, word in reversed(words.items()) if stemmed not in known]
    share = 1 - len(missing) / len(words) if words else 1.0
    return share, missing


def content_words(text: str) -> Iterator[str]:
    """The words that carry meaning, case folded; of scripts without spaces, pairs of characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    for word in _WORD.findall(_APOSTROPHE.sub("", folded)):
        if _UNSPACED.search(word):
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif word not in _STOP_WORDS and len(word) > 1:
            yield word


def stem(word: str) -> str:
    """An English word without its inflection: opening, opens, opened -> open; cities -> city."""
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(ending)] + replacement
            break
    if word.endswith("i") and len(word) > 3:
        word = word[:-1] + "y"  # happily, carried
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls"
    word = word[:-1] if doubled else word
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
