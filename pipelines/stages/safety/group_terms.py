"""Words for groups of people, by category, in forms that stand beside each other.

mentions("Her rabbi spoke to an American.")  ->  {"gender": {"female"}, "religion": {"jewish"},
                                                  "nationality": {"american"}}

English. Groups of a category have their forms in the same order, so that one can take the place of
another: american, americans, america -> german, germans, germany.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

PAIRS = (
    "he she", "himself herself", "man woman", "men women", "boy girl", "boys girls", "male female",
    "males females", "father mother", "fathers mothers", "dad mom", "dads moms", "daddy mommy",
    "son daughter", "sons daughters", "brother sister", "brothers sisters", "husband wife",
    "husbands wives", "boyfriend girlfriend", "boyfriends girlfriends", "uncle aunt",
    "uncles aunts",
    "nephew niece", "nephews nieces", "grandfather grandmother", "grandfathers grandmothers",
    "grandpa grandma", "grandson granddaughter", "grandsons granddaughters",
    "stepfather stepmother",
    "stepson stepdaughter", "godfather godmother", "king queen", "kings queens", "prince princess",
    "princes princesses", "duke duchess", "lord lady", "gentleman lady", "gentlemen ladies",
    "sir madam", "mr ms", "actor actress", "actors actresses", "waiter waitress",
    "waiters waitresses", "host hostess", "hero heroine", "heroes heroines", "widower widow",
    "widowers widows", "groom bride", "grooms brides", "landlord landlady", "policeman policewoman",
    "policemen policewomen", "businessman businesswoman", "businessmen businesswomen",
    "chairman chairwoman", "salesman saleswoman", "spokesman spokeswoman", "fireman firewoman",
    "congressman congresswoman", "guy gal", "guys gals", "bachelor bachelorette", "monk nun",
    "monks nuns", "wizard witch", "wizards witches", "schoolboy schoolgirl", "fiancé fiancée",
)  # fmt: skip
"""Words for men and the same for women; pronouns whose other form depends are in swapping."""

_FORMS: Mapping[str, Mapping[str, str]] = {
    "religion": {
        "christian": "christian christians christianity church churches bible priest priests",
        "muslim": "muslim muslims islam mosque mosques quran imam imams",
        "jewish": "jewish jews judaism synagogue synagogues torah rabbi rabbis",
        "hindu": "hindu hindus hinduism mandir mandirs vedas pandit pandits",
        "sikh": "sikh sikhs sikhism gurdwara gurdwaras granth granthi granthis",
    },
    "nationality": {
        "american": "american americans america",
        "british": "british britons britain",
        "french": "french frenchmen france",
        "german": "german germans germany",
        "italian": "italian italians italy",
        "spanish": "spanish spaniards spain",
        "polish": "polish poles poland",
        "russian": "russian russians russia",
        "ukrainian": "ukrainian ukrainians ukraine",
        "turkish": "turkish turks turkey",
        "chinese": "chinese chinese china",
        "japanese": "japanese japanese japan",
        "korean": "korean koreans korea",
        "indian": "indian indians india",
        "pakistani": "pakistani pakistanis pakistan",
        "mexican": "mexican mexicans mexico",
        "brazilian": "brazilian brazilians brazil",
        "nigerian": "nigerian nigerians nigeria",
        "kenyan": "kenyan kenyans kenya",
        "egyptian": "egyptian egyptians egypt",
        "iranian": "iranian iranians iran",
        "israeli": "israeli israelis israel",
        "canadian": "canadian canadians canada",
        "australian": "australian australians australia",
        "swedish": "swedish swedes sweden",
    },
    "age": {
        "young": "young younger teenager teenagers youth",
        "old": "elderly older pensioner pensioners seniors",
    },
    "orientation": {
        "gay": "gay gays homosexual homosexuals homosexuality",
        "straight": "straight straights heterosexual heterosexuals heterosexuality",
    },
}
_OTHERS: Mapping[str, Mapping[str, str]] = {
    "gender": {
        "male": "him his mister masculine",
        "female": "her hers mrs miss feminine ma'am",
        "nonbinary": "nonbinary non-binary genderqueer genderfluid",
    },
    "religion": {
        "christian": "jesus christ catholic catholics protestant protestants pastor bishop",
        "muslim": "islamic muhammad ramadan hijab",
        "jewish": "jew hanukkah kosher",
        "hindu": "diwali brahmin",
        "buddhist": "buddhist buddhists buddhism buddha",
        "atheist": "atheist atheists atheism agnostic",
    },
    "age": {
        "young": "teen teens adolescent adolescents millennial millennials",
        "old": "senior_citizen retiree retirees aged boomer boomers octogenarian",
    },
    "orientation": {
        "gay": "lesbian lesbians queer lgbt lgbtq",
        "bisexual": "bisexual bisexuals",
    },
    "ethnicity": {
        "black": "african-american african-americans afro-american afro-caribbean",
        "white": "caucasian caucasians",
        "asian": "asian asians asian-american",
        "latino": "latino latinos latina latinas hispanic hispanics chicano",
        "arab": "arab arabs arabic",
        "indigenous": "indigenous aboriginal inuit maori",
        "roma": "roma romani gypsy gypsies",
    },
    "disability": {
        "disabled": "disabled disability disabilities wheelchair blind deaf autistic autism",
    },
    "gender_identity": {
        "transgender": "transgender trans transsexual",
        "cisgender": "cisgender cis",
    },
}
_COLOURED = re.compile(
    r"\b(black|white)s?(?= (?:people|person|man|men|woman|women|boys?|girls?|kids?|child(?:ren)?|"
    r"americans?|communit(?:y|ies)|famil(?:y|ies)|students?|teachers?|neighbou?rs?|lives|voters?|"
    r"guys?|males?|females?|folks?)\b)",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")  # noqa: RUF001
_CAPITAL_ONLY = frozenset({"turkey", "china", "polish", "poles", "turks"})
"""Words that mean something else in lower case."""


def categories() -> tuple[str, ...]:
    """The categories of groups."""
    return tuple(dict.fromkeys(["gender", *_FORMS, *_OTHERS]))


def forms(category: str) -> Mapping[str, Sequence[str]]:
    """The groups of a category that can be swapped, each with its forms in the same order."""
    return {group: words.split() for group, words in _FORMS.get(category, {}).items()}


def mentions(
    text: str, more: Mapping[str, Mapping[str, Sequence[str]]] | None = None
) -> dict[str, set[str]]:
    """The groups that a text names, by category.

    Args:
        text: The text.
        more: Category -> group -> words of a job's own.
    """
    found: dict[str, set[str]] = {}
    extra = {
        word.casefold(): (category, group)
        for category, groups in (more or {}).items()
        for group, words in groups.items()
        for word in words
    }
    for match in _WORD.finditer(text):
        word = match[0].casefold().replace("’", "'")  # noqa: RUF001
        word = word.removesuffix("'s")
        if word in _CAPITAL_ONLY and match[0][0].islower():
            continue
        for place in filter(None, (_places().get(word), extra.get(word))):
            found.setdefault(place[0], set()).add(place[1])
    for match in _COLOURED.finditer(text):
        found.setdefault("ethnicity", set()).add(match[1].lower())
    return found


@cache
def _places() -> dict[str, tuple[str, str]]:
    """Word -> category and group."""
    places: dict[str, tuple[str, str]] = {}
    for pair in PAIRS:
        male, female = pair.split()
        places[male], places[female] = ("gender", "male"), ("gender", "female")
    for table in (_FORMS, _OTHERS):
        for category, groups in table.items():
            for group, words in groups.items():
                places.update(dict.fromkeys(words.split(), (category, group)))
    return places
