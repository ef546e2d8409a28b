from collections import Counter
from pathlib import Path

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row

from pipelines.rows import Row
from pipelines.stages import STAGES, Eda
from pipelines.stages.augment.eda import (
    EDITS,
    delete_words,
    insert_words,
    replace_words,
    swap_words,
)
from pipelines.stages.augment.synonyms import read_synonyms, synonyms
from pipelines.stages.safety.stand_ins import drawing
from prompts.errors import UsageError

TEXT = "A quick dog runs along the old street while 2 kids watch the big film."
WORDS = synonyms()


def eda(**settings: object) -> Eda:
    return Eda.model_validate({"name": "eda", "field": "text", **settings})


def test_four_variants_take_the_four_edits_in_turn() -> None:
    _, *variants = outcomes(eda(variants=4), [row(text=TEXT)])
    edits = [variant.history[-1]["edit"] for variant in variants if isinstance(variant, Row)]
    assert sorted(edits) == sorted(EDITS)
    assert len({variant.data["text"] for variant in variants if isinstance(variant, Row)}) == 4
    first = Counter(
        outcomes(eda(), [row(id=f"r{n}", text=TEXT)])[1].history[-1]["edit"]  # type: ignore[union-attr]
        for n in range(40)
    )
    assert len(first) == 4, "with one variant a row, rows differ in the edit they begin with"


@pytest.mark.parametrize("seed", range(10))
def test_edits_do_what_the_paper_says(seed: int) -> None:
    draw = drawing(str(seed))
    replaced = replace_words(TEXT, 0.1, WORDS, draw).split()
    changed = [(a, b) for a, b in zip(TEXT.split(), replaced, strict=True) if a != b]
    assert len(changed) == 1  # a tenth of fourteen words
    assert all(b.strip(".") in WORDS[a.strip(".")] for a, b in changed)
    inserted = Counter(insert_words(TEXT, 0.1, WORDS, draw).split()) - Counter(TEXT.split())
    assert sum(inserted.values()) == 1
    assert all(word in WORDS for word in inserted)
    swapped = swap_words(TEXT, 0.2, WORDS, draw)
    assert sorted(swapped.rstrip(".").split()) == sorted(TEXT.rstrip(".").split())
    assert swapped.endswith(".")
    kept = delete_words(TEXT, 0.3, WORDS, draw)
    assert not Counter(kept.rstrip(".").split()) - Counter(TEXT.rstrip(".").split())
    assert "2" in kept.split()
    assert kept.endswith(".")


def test_what_an_edit_cannot_do_the_next_one_does() -> None:
    _, variant = outcomes(eda(operations=["synonym", "swap"]), [row(text="Zorg blick.")])
    assert isinstance(variant, Row)
    assert variant.data["text"] == "blick Zorg."
    assert variant.history[-1]["edit"] == "swap"
    assert reasons(outcomes(eda(operations=["synonym"]), [row(text="Zorg.")])) == ["", "identical"]
    assert reasons(outcomes(eda(), [row(text="Zorg.")])) == ["", "identical"]


def test_capitals_and_punctuation_stay_with_the_place() -> None:
    words = read_synonyms("quick fast\n")
    assert replace_words("Quick, quick!", 1, words, drawing("0")) == "Fast, fast!"


def test_the_shipped_words_stand_for_each_other_both_ways() -> None:
    assert all(word in WORDS[other] for word, others in WORDS.items() for other in others)
    assert all(word not in others for word, others in WORDS.items())
    assert len(WORDS) > 450


def test_a_file_of_synonyms_takes_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("zorg blick\n\nalone\n", encoding="utf-8")
    stage = eda(operations=["synonym"], synonyms=str(path))
    _, variant = outcomes(stage, [row(text="Zorg.")], FakeContext(stage))
    assert isinstance(variant, Row)
    assert variant.data["text"] == "Blick."


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        STAGES.build({"kind": "eda", "field": "text", "operations": ["swap", "swap"]})
    with pytest.raises(UsageError, match="greater than 0"):
        STAGES.build({"kind": "eda", "field": "text", "alpha": 0})
    eda().check(FakeJob())
