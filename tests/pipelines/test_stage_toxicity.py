import csv
import tarfile
from pathlib import Path

import pytest
from fakes import FakeContext, outcomes, reasons, row
from jobs import loaded_job

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Toxicity
from pipelines.stages.safety.toxic_terms import Lexicon, total
from prompts.errors import UsageError

LEXICON = Lexicon()


def categories(text: str) -> list[str]:
    return [hit.category for hit in LEXICON.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What an idea, you bastard!", ["insult"]),
        ("You are such an idiot.", ["directed"]),
        ("people like that act stupid", []),
        ("He is a liar", ["directed"]),
        ("I will kill you", ["threat"]),
        ("i'm gonna beat your face", ["threat"]),
        ("k1ll yourself", ["threat"]),
        ("They should be shot.", ["threat"]),
        ("All immigrants are vermin", ["hatred"]),
        ("I hate muslims", ["hatred"]),
    ],
)
def test_abuse_is_found_with_its_category(text: str, expected: list[str]) -> None:
    assert categories(text) == expected


@pytest.mark.parametrize(
    "word",
    [
        "b1tch",
        "b!tch",
        "biiiitch",
        "b i t c h",
        "b.i.t.c.h",
        "B*TCH",
        "bítch",
        "bitches",
        "BITCH!!!",
    ],
)
def test_disguises_are_undone(word: str) -> None:
    assert categories(f"what a {word}, no") == ["insult"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Have a nice day.",
        "The class passed the assessment in Scunthorpe.",
        "Dick Cheney and Moby Dick",
        "He bought a garden hoe and a rake.",
        "A cock crowed on the farm.",
        "Homo sapiens and Homo erectus",
        "She graduated magna cum laude.",
        "The stove needs cleaning; the animals were fed.",
        "She wants to kill the process and shoot a photo.",
        "He called me a bastard",
        "a b c d, x y z",
        "Ships of 1945 at 10:30, 5-4-3, ****",
        "Women are doctors, and men are nurses.",
    ],
)
def test_harmless_texts_score_nothing(text: str) -> None:
    assert LEXICON.find(text) == []


def test_the_score_counts_every_different_word_once() -> None:
    once = LEXICON.find("shit")
    assert total(once) == total(LEXICON.find("shit shit SHIT")) == 0.4
    assert total(LEXICON.find("shit and damn")) == pytest.approx(1 - 0.6 * 0.6)


def test_rows_above_the_score_are_rejected_with_their_evidence() -> None:
    rows = [row(id="r0", text="damn"), row(id="r1", text="you bastard, damn", n=1)]
    kept, rejected = outcomes(Toxicity(), rows)
    assert kept == rows[0]
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "toxic"
    assert rejected.detail == {
        "score": 0.82,
        "found": {"insult": 1, "profanity": 1},
        "spans": [["text", 4, 11, "insult"], ["text", 13, 17, "profanity"]],
    }
    assert reasons(outcomes(Toxicity(max_score=0.9), rows)) == ["", ""]
    assert reasons(outcomes(Toxicity(categories=("slur",)), rows)) == ["", ""]
    assert reasons(outcomes(Toxicity(fields=("other",)), rows[:1])) == ["missing_column"]


def test_flagging_gives_every_row_its_score() -> None:
    rows = [row(id="r0", chat=["Hello"]), row(id="r1", chat=["Hello", "you bastard"])]
    clean, dirty = outcomes(Toxicity(action="flag"), rows)
    assert isinstance(clean, Row)
    assert isinstance(dirty, Row)
    assert (clean.data["toxicity"], dirty.data["toxicity"]) == (0.0, 0.7)
    assert dirty.history[-1]["spans"] == [["chat.1", 4, 11, "insult"]]


def test_a_job_adds_words_and_phrases(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# mine\nfoozle\nrotten old egg\n笨蛋\n", encoding="utf-8")
    stage = Toxicity(words=(str(words),))
    texts = ["a f00zle", "you rotten, old egg", "你是笨蛋吗", "an old egg"]
    rows = [row(id=f"r{i}", text=text) for i, text in enumerate(texts)]
    assert reasons(outcomes(stage, rows, FakeContext(stage))) == ["toxic", "toxic", "toxic", ""]


def test_word_lists_are_checked_and_part_of_the_run(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_bytes(b"\xff\xfe\x00")
    stage = {"kind": "toxicity", "words": ["words.txt"]}
    with pytest.raises(UsageError, match=r"words\.0: cannot read words\.txt; fix: give a UTF-8"):
        loaded_job(tmp_path, stages=[stage])
    words.write_text("foozle\n")
    loaded = loaded_job(tmp_path, stages=[stage])
    before = loaded.job.stages[0].fingerprint(loaded)
    words.write_text("fizzle\n")
    assert loaded.job.stages[0].fingerprint(loaded) != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": ["rude"]}, "unknown category 'rude'"),
        ({"categories": []}, "nothing would count"),
        ({"max_score": 1}, "less than 1"),
        ({"action": "mask"}, "'reject' or 'flag'"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "toxicity", **options}, key="stages.0")


@pytest.mark.slow
def test_labelled_tweets_are_told_apart(
    test_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("data")
    with tarfile.open(test_data / "data/safety.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    path = next(folder.rglob("labeled_data.csv"))
    with path.open(encoding="utf-8", newline="") as file:
        tweets = list(csv.DictReader(file))[::10]
    flagged = [(t["class"] != "2", LEXICON.score(t["tweet"]) > 0.5) for t in tweets]
    right = sum(bad and hit for bad, hit in flagged)
    assert right / sum(hit for _, hit in flagged) > 0.97
    assert right / sum(bad for bad, _ in flagged) > 0.9
