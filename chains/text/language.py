"""Which language a text is in: probabilities of 140 languages, from a model inside a package.

    open_language_scores()("Wo ist der Bahnhof?")     # {"de": 0.93, "lb": 0.02, ...}
    evidence("Ok! See https://example.org")           # 5: letters that tell something

py3langid (BSD, numpy alone): naive Bayes over byte n-grams after Lui and Baldwin (2012), 4.5 MB in
the wheel, no pickle, nothing downloaded.
"""

import re
from collections.abc import Callable
from functools import cache

Scores = dict[str, float]
ScoreLanguages = Callable[[str], Scores]

_NO_PROSE = re.compile(
    r"(?s)```.*?(?:```|\Z)"  # code
    r"|`[^`\n]*`"
    r"|<[^<>\n]{1,200}>"  # tags
    r"|(?:https?://|www\.)\S+"
    r"|[^\s@]{1,64}@[^\s@]{1,200}"
)
_LETTER = re.compile(r"[^\W\d_]")
# A character of these is a syllable or a word: it tells about as much as three letters.
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")

LANGUAGES = tuple(
    """
    ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext
    fa fi fo fr fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja
    jv ka kab kik kk km kn ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no
    nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk
    tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu
""".split()  # noqa: SIM905 - a table of codes
)
"""ISO 639 codes that are told apart."""


@cache
def open_language_scores() -> ScoreLanguages:
    """A function from a text to the probability of each language, the likeliest first.

    Loading the model takes about a second, once in a process, a call about 0.1 ms. A text without a
    known n-gram gives all languages the same.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def scores(text: str) -> Scores:
        ranked = identifier.rank(prose(text))
        return {code: float(score) for code, score in ranked if code != "zxx"}  # "no language"

    return scores


def prose(text: str) -> str:
    """`text` without what is in no language: code, tags, addresses."""
    return _NO_PROSE.sub(" ", text)


def evidence(text: str) -> int:
    """Letters that a judgement can rest on; a Chinese character counts as three."""
    kept = prose(text)
    return len(_LETTER.findall(kept)) + 2 * len(_DENSE.findall(kept))
