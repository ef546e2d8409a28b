"""The stages `heuristics` and `language` on known texts: false alarms, and planted defects found.

Run by hand, for the data sets are not part of the project; TEXTMILL_TEST_DATA names the folder that
has them: `python -m benchmarks.heuristics`. docs/quality.md keeps the figures.
"""
# ruff: noqa: RUF001 - quotation marks that look alike are all meant here

import gzip
import json
import os
import random
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from chains.text.language import evidence, open_language_scores
from pipelines.stages.heuristics import Heuristics

Texts = dict[str, list[str]]

ARCHIVES = ("classification", "documents", "instructions", "similarity", "translation")
SEED = 7
MIN_SCORE = 0.1  # the default of the stage `language`


def measure() -> Iterator[tuple[str, str]]:
    """A row a set of good texts, a sort of planted defect, and a set of a known language."""
    with tempfile.TemporaryDirectory() as name:
        data = _unpacked(Path(name))
        good = good_texts(data)
        yield from _false_alarms(good)
        yield from _planted(good["XQuAD paragraphs"])
        yield from _languages(data)


def good_texts(data: Path) -> Texts:
    squad = json.loads((data / "documents/qa_xquad/xquad.en.json").read_bytes())["data"]
    paragraphs = [paragraph for article in squad for paragraph in article["paragraphs"]]
    alpaca = json.loads((data / "instructions/instr_alpaca_1k/alpaca_en_demo.json").read_bytes())
    mrpc = _lines(data / "similarity/para_mrpc/msr_paraphrase_train.txt")[1:]
    sst2 = _lines(data / "classification/cls_sst2/stsa.binary.dev")
    return {
        "XQuAD paragraphs": [paragraph["context"] for paragraph in paragraphs],
        "XQuAD questions": [q["question"] for paragraph in paragraphs for q in paragraph["qas"]],
        "Multi30k captions": _lines(data / "translation/mt_multi30k/val.en.gz"),
        "Tatoeba sentences": _lines(data / "translation/mt_tatoeba/fr-en.en"),
        "SST-2 sentences": [line.split(" ", 1)[1] for line in sst2],
        "MRPC sentences": [text for line in mrpc for text in line.split("\t")[3:]],
        "Alpaca outputs": [row["output"] for row in alpaca],
    }


def _false_alarms(good: Texts) -> Iterator[tuple[str, str]]:
    stage = Heuristics(field="text")
    for name, texts in good.items():
        found = [{fault.reason for fault in stage.faults(text)} for text in texts]
        each = Counter(reason for reasons in found for reason in reasons)
        shares = ", ".join(f"{r} {n / len(texts):.2%}" for r, n in each.most_common())
        yield f"{name} ({len(texts)})", f"{sum(map(bool, found)) / len(texts):.2%}: {shares}"


def _planted(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Each defect planted into each text that the stage lets through."""
    stage = Heuristics(field="text")
    system = "You answer questions about a passage in one short sentence and add nothing to it."
    clean = [text for text in texts if not stage.faults(text)]
    for (name, reason), plant in DEFECTS.items():
        source = random.Random(SEED)
        spoilt = [plant(text, source) for text in clean]
        found = [{fault.reason for fault in stage.faults(text, (system,))} for text in spoilt]
        hits = sum(reason in reasons for reasons in found) / len(found)
        other = sum(bool(reasons) for reasons in found) / len(found)
        yield f"planted: {name}", f"{hits:.1%} {reason}, {other:.1%} any"


def _languages(data: Path) -> Iterator[tuple[str, str]]:
    scores = open_language_scores()
    folder = data / "translation"
    sets = {(f"Multi30k {c}", c): f"mt_multi30k/val.{c}.gz" for c in ("en", "de", "fr", "cs")}
    for code in ("de", "fr", "es", "ru"):
        sets[f"Tatoeba {code}", code] = f"mt_tatoeba/{code}-en.{code}"
    sets["Tatoeba en", "en"] = "mt_tatoeba/fr-en.en"
    judged = {}
    for key, path in sets.items():
        texts = [text for text in _lines(folder / path) if evidence(text) >= 12]
        judged[key] = [scores(text) for text in texts]
    for (name, code), found in judged.items():
        first = sum(next(iter(each)) == code for each in found) / len(found)
        lost = sum(each[code] < MIN_SCORE for each in found) / len(found)
        others = [each for (_, other), rows in judged.items() if other != code for each in rows]
        let_in = sum(each[code] >= MIN_SCORE for each in others) / len(others)
        figures = f"first {first:.2%}, wrongly rejected {lost:.2%}, others kept {let_in:.3%}"
        yield f"{name} ({len(found)})", figures


def _cut(text: str, source: random.Random) -> str:
    words = text.split()
    return " ".join(words[: source.randint(len(words) // 3, len(words) - 1)])


def _loop(text: str, source: random.Random) -> str:
    words = text.split()
    size = source.randint(1, 6)
    start = source.randint(0, len(words) - size)
    return " ".join([*words[: start + size], *(words[start : start + size] * 14)]) + "."


def _again(text: str, source: random.Random) -> str:
    return f"{text} {text}"


def _scattered(text: str, source: random.Random) -> str:
    """One phrase of three words behind every eighth word."""
    words = text.split()
    start = source.randint(0, len(words) - 3)
    phrase = words[start : start + 3]
    pieces = [[*words[at : at + 8], *phrase] for at in range(0, len(words), 8)]
    return " ".join(word for piece in pieces for word in piece) + "."


def _before(*openings: str) -> Callable[[str, random.Random], str]:
    return lambda text, source: f"{source.choice(openings)} {text}"


def _after(*endings: str) -> Callable[[str, random.Random], str]:
    return lambda text, source: f"{text}{source.choice(endings)}"


def _symbols(text: str, source: random.Random) -> str:
    return "".join(c if source.random() > 0.4 else source.choice("#*@^~|=%") for c in text)


def _mojibake(text: str, source: random.Random) -> str:
    words = text.split()
    words.insert(
        source.randint(0, len(words)), source.choice(("“café”", "naïve", "it’s", "Müller"))
    )
    return " ".join(words).encode().decode("cp1252", "replace")


DEFECTS: dict[tuple[str, str], Callable[[str, random.Random], str]] = {
    ("cut at a random word", "unfinished"): _cut,
    ("one to six words, 15 times", "repetition"): _loop,
    ("the whole text twice", "repetition"): _again,
    ("a phrase behind every eighth word", "repetition"): _scattered,
    ("a refusal before it", "refusal"): _before(
        "I'm sorry, but I'm not able to answer that question.",
        "Sorry, I can't assist with this request.",
        "As a large language model, I do not browse the web.",
        "Unfortunately, I cannot provide the information you asked for.",
        "I apologize, but I am unable to complete this task.",
        "I’m just an AI, so take this with care.",
        "I must decline to write about this.",
        "I do not have personal opinions or beliefs.",
    ),
    ("an announcement before it", "boilerplate"): _before(
        "Sure! Here is a paragraph about the topic:",
        "Certainly, here's the text you asked for:",
        "Of course! Below is the passage:\n\n",
        "Here is a short answer to your question:",
        "Absolutely! I have written a summary for you:",
    ),
    ("an offer of help behind it", "boilerplate"): _after(
        " I hope this helps!",
        " Let me know if you need anything else.",
        "\n\nIs there anything else I can help you with?",
        " Feel free to ask if you have any other questions!",
    ),
    ("a chat template's pieces", "prompt_leak"): _after(
        "<|im_end|>",
        "\nUser: Thanks! And what about the second one?",
        "\n### Response: The same again.",
        " [/INST] Yes.",
        "</s>",
        " The topic is {{ topic }}.",
    ),
    ("a sentence of the prompt", "prompt_leak"): _after(
        " I answer questions about a passage in one short sentence and add nothing to it."
    ),
    ("40 % of the characters are symbols", "symbols"): _symbols,
    ("half of an emphasis, tags, entities", "markup"): _after(
        " It is **important.", "<br>", " Q&amp;A.", " See [the page]()"
    ),
    ("a word decoded wrongly", "mojibake"): _mojibake,
}


def _unpacked(folder: Path) -> Path:
    archives = Path(os.environ["TEXTMILL_TEST_DATA"]) / "data"
    for name in ARCHIVES:
        with tarfile.open(archives / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    inner = folder / "data"
    return inner if inner.is_dir() else folder


def _lines(path: Path) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    return [line for line in text.split("\n") if line.strip()]


if __name__ == "__main__":
    for row_name, figure in measure():
        print(f"  {row_name:<46} {figure}", flush=True)
