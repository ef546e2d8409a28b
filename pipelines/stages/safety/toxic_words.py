"""Words that wound, by category, and the company that makes some of them harmless.

The words are written in ROT13, so that nobody meets them who only looks for a place in the code;
`words()` gives them in the clear. A star stands for any ending, and every word has its plural. The
list is short on purpose: what a job needs beyond it, it names in files of its own.
"""
# ruff: noqa: E501, RUF001 - an expression is read as one; apostrophes of both kinds are meant

import codecs
from collections.abc import Mapping

WEIGHTS: Mapping[str, float] = {
    "slur": 0.9,
    "threat": 0.8,
    "hatred": 0.8,
    "insult": 0.7,
    "sexual": 0.6,
    "listed": 0.6,
    "directed": 0.6,
    "profanity": 0.4,
}
"""How much one find of a category counts, 0 to 1; `listed` are words of the job's own files.

`directed` are words that insult only where they are said of a person: `mild` below.
"""

_ROT13 = {
    "slur": """
        ornare obbat pnzrywbpxrl puvanzna puvax pbba penpxrenff qntb qnexvr qnexl qlxr snt snttbg*
        snttl tbyyvjbt tbbx tlcb tlccb unysoerrq urro urfur ubzb ubaxl ulzvr vawha vfynzbanmv wnc
        wvtnobb whatyrohaal xvxr ynqlobl yrfob yrmmvr yvogneq* zhqfyvzr zhmmvr anmvfphz avppn* avt
        avttn avttnu avttre* avtthu cnxv cvpxnavaal cvxrl cbynpx cbbsgre cbepuzbaxrl dhrreonvg
        enturnq ergneq ergneqrq fnaqzbaxrl fnaqavttre* furznyr fulybpx fynagrlr fbqbzvgr fcnm fcvp
        fcvpx fdhnj gneonol gbjryurnq genaavr genaal hapyrgbz jrgonpx* juvgrgenfu jbc lvq mvccreurnq
    """,
    "insult": """
        nefrubyr* nffung nffubyr* nffjvcr onfgneq oryyraq orbgpu ovngpu ovag ovgpu* ovgpunff ovgpurm
        pbpxfhpxre* phpx phag* qvpxurnq* qvcfuvg* qbhpur qbhpuront* qhzonff* qhzoshpx* sngnff*
        shpxsnpr* shpxgneq* shpxjvg* tbofuvgr ubr ubront uhffl wnpxnff* wrexbss xabournq* yneqnff*
        zvatre zbsb zbgunshpxn* zbgureshpxre* zbgureshpxva* zhgunshpxn* zhgunshpxva* ahzoahgf
        cvyybpx cvffnag cevpx fpnyyljuber fphzont* fuvgont* fuvgurnq* fxnax* fxrrmn fynt fyhg*
        fyhggl fhzovgpu gubg gbffre* gjng jnaxre* juber*
    """,
    "sexual": """
        nffshpx* onyyfnpx onatoebf oybjwbo* obare* obbof obbgl ohxxnxr ohggcyht* ohggfrk pnztvey*
        pyvg pbpx pernzcvr* phz phzzvat phzfubg* phaavyvathf qrrcguebng* qvpx qvyqb* rwnphyng* snc
        snccvat sryyngvb svfgvat syrfuyvtug tnatonat* unaqwbo* uragnv ubeal wrexvatbss wvmm
        znfgheong* zvys ahqrf ahgfnpx ahgfnpxf alzcub* cbbagnat cbea* cbeauho chanav chff chffvrf
        chffl evzwbo* fpuybat frkgvat gvg gvgvrf gvgf gvggvrf gvggl hcfxveg* jnax*
    """,
    "profanity": """
        nefr nff nffrf obyybpxf ohttre ohyyfuvg* penc qnza qhzonffrf spx ssf szy shpp shpx* shx shk
        tbqqnza* tgsb ubefrfuvg* yzsnb zs zsf bzst cuhpx* cvff cvffrq fuvg* fgsh jgs
    """,
    "mild": """
        navzny navznyf ncr ncrf pybja pbpxebnpu* pbjneq perrc pergva* qvzjvg qvfthfgvat qhzo snvyher
        sng svygu* sernx tneontr unysjvg vqvbg* vzorpvyr* yvne ybfre yhangvp zbaxrl zbaxrlf zbeba*
        avgjvg cnenfvgr cngurgvp cvt cvtf cflpub eng engf fnintr fphz fghcvq fhouhzna* genfu htyl
        hfryrff irezva jbeguyrff
    """,
}

_BESIDE = {
    "nff": "donkey ox pack wild",
    "onfgneq": "sword file",
    "ovag": "al ibn",
    "ovgpu": "breeding litter puppies pups pup kennel bred whelping",
    "obbgl": "pirate pirates treasure bay",
    "puvax": "in of armour armor light wall",
    "pbpx": "fighting fight pheasant a the weather crow crowed farm robin",
    "pbba": "maine hound cat cats",
    "phz": "laude magna summa",
    "qvpx": "moby cheney van clark tracy turpin whittington grayson uncle private",
    "qlxr": "flood sea water van broke wall walls breach river canal",
    "snt": "ash packet",
    "ubr": "garden gardening rake spade shovel soil weeds weed tool tools plant plants handle blade wooden steel farmer",
    "ubzb": "sapiens erectus habilis neanderthalensis genus",
    "ubeal": "toad lizard goat",
    "cbynpx": "jackson",
    "cevpx": "finger needle skin the thumb ears up",
    "chff": "boots in",
    "chffl": "cat cats willow willows riot foot galore",
    "ergneq": "fire flame growth the to spark",
    "fynt": "heap iron steel blast furnace",
    "fcvp": "and span",
    "fcvpx": "and",
    "gvg": "blue great coal marsh willow for",
    "gvgf": "blue great coal marsh willow",
    "genaal": "car gearbox fluid transmission",
    "jbc": "bop doo",
}
"""Word -> words that, next to it, give it another sense: a garden tool, a breed, a phrase."""

THREATS = (
    r"\b(?:kill|hang|shoot|neck) (?:yo)?ur ?self\b|\bkys\b",
    r"\b(?:i|we)(?: will|'ll|’ll| am going to|'m going to|’m going to| gonna|'m gonna|’m gonna|ma| wanna| want to)"
    r" (?:kill|murder|shoot|stab|beat|rape|hurt|strangle|smash|destroy|slap|punch|choke|find) "
    r"(?:you|u|ya|him|her|them|your|ur|his|that|this|these|those)\b",
    r"\b(?:hope|wish) (?:that )?(?:you|u|he|she|they|y'?all)(?: all)? (?:die|dies|died|burn|rot|choke|get (?:raped|shot|killed|cancer))\b",
    r"\b(?:deserves?|ought|needs?) to (?:die|be (?:shot|killed|hanged|hung|raped|beaten|exterminated|gassed|lynched))\b",
    r"\bshould(?: all)? be (?:shot|killed|hanged|hung|raped|beaten|exterminated|gassed|lynched|burned|burnt|put down)\b",
    r"\bgo (?:and )?(?:die|hang yourself)\b|\bdie in a fire\b|\bdrop dead\b|\byou(?:'re|’re| are) (?:so )?dead meat\b",
)
"""What threatens or wishes harm."""

_GROUPS = (
    r"(?:muslims?|jews?|christians?|hindus?|arabs?|mexicans?|blacks?|whites?|asians?|africans?|"
    r"immigrants?|migrants?|refugees?|foreigners?|gays?|gay people|lesbians?|homosexuals?|queers?|"
    r"trans(?:gender)? people|women|men|females?|gypsies|roma|chinese|indians?|disabled people|"
    r"white people|black people|liberals?|old people)"
)
HATREDS = (
    rf"\b(?:i|we|everybody|everyone)(?: really| fucking| just| all)? (?:hate|despise|detest|can't stand|can’t stand) (?:all |these |those |the |you )?{_GROUPS}\b",
    rf"\b{_GROUPS} (?:are|is|r)(?: all| just| nothing but| such)? (?:a )?(?:vermin|animals?|trash|scum|filth|filthy|disgusting|parasites?|rats?|pigs?|savages?|inferior|subhumans?|stupid|dirty|terrorists?|rapists?|criminals|worthless|cockroaches|monkeys|apes|disease|plague|evil)\b",
    rf"\b(?:kill|deport|exterminate|gas|ban|get rid of) (?:all |the |these |those |every )+(?:fucking )?{_GROUPS}\b",
    rf"\b(?:dirty|filthy|fucking|stupid|bloody) {_GROUPS}\b|\bgo back to (?:your (?:own )?country|africa|mexico|china|the kitchen)\b",
)
"""What speaks of a group of people with hatred."""

PERSON = r"(?:you|u|ya|ur|your|youre|you're|you’re|he|he's|he’s|she|she's|she’s|they|they're|they’re|him|her|them|these|those|people|@\w+)"
"""Who a word of the category `mild` has to be said of."""


def words() -> dict[str, tuple[str, ...]]:
    """The words of each category; a star at the end stands for any ending."""
    return {name: tuple(codecs.decode(text, "rot13").split()) for name, text in _ROT13.items()}


def company() -> dict[str, frozenset[str]]:
    """For some words, others that make them harmless right before or behind them."""
    return {
        codecs.decode(word, "rot13"): frozenset(others.split()) for word, others in _BESIDE.items()
    }
