import random
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from exports import exported, loaded, questions, rows_of
from pydantic import ValidationError

from pipelines.exporters import HfDataset, near
from pipelines.exporters.groups import Groups
from pipelines.exporters.near import alike, unite_near_duplicates
from pipelines.exporters.splits import assign_by_hash
from pipelines.exporters.splitting import Division, Splitting
from pipelines.rows import Row
from pipelines.stages.dedup.overlaps import Overlaps
from pipelines.stages.dedup.shingling import jaccard, shingles
from prompts.errors import UsageError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def divided(rows: list[Row], splitting: Splitting, parts: dict[str, float]) -> dict[str, str]:
    """The split of every row."""
    division = Division(splitting)
    for row in rows:
        division.survey(row)
    division.check_columns()
    split_of = division.divide(parts, 7, lambda: iter(rows), lambda row: row.data)
    return {row.id: split_of[row.family] for row in rows}


@pytest.mark.parametrize("method", ["exact", "hash"])
def test_rows_with_a_value_in_common_are_in_one_split(method: Any) -> None:
    records = [{"topic": f"t{index % 17}", "site": index // 40} for index in range(400)]
    rows = rows_of(records)
    splitting = Splitting(method=method, keep_together=("topic",))
    found = divided(rows, splitting, SHARES)
    for row in rows:
        assert found[row.id] == found[f"r{int(row.id[1:]) % 17}"]
    assert set(found.values()) == set(SHARES)
    both = divided(rows, Splitting(method=method, keep_together=("topic", "site")), SHARES)
    assert len(set(both.values())) == 1  # every topic is at every site


def test_a_field_of_the_lineage_keeps_rows_together_too() -> None:
    rows = [
        replace(row, history=({"stage": "source:records", "key": f"k{index % 5}"},))
        for index, row in enumerate(rows_of([{"a": "x"}] * 50))
    ]
    found = divided(rows, Splitting(keep_together=("key",)), {"train": 0.6, "test": 0.4})
    assert [found[f"r{index}"] for index in range(45)] == [found[f"r{i + 5}"] for i in range(45)]
    assert Counter(found.values()) == {"train": 30, "test": 20}


@pytest.mark.parametrize("name", ["source", "key", "document"])
def test_a_column_of_a_lineage_fields_name_comes_before_the_lineage(name: str) -> None:
    documents = [{"document": f"d{index % 7}"} for index in range(70)]
    history = [{"stage": f"d{index % 7}", "key": f"d{index % 7}"} for index in range(70)]
    rows = [replace(r, history=(h,)) for r, h in zip(rows_of(documents), history, strict=True)]
    parts = {"train": 0.5, "test": 0.5}
    found = divided(rows, Splitting(keep_together=(name,)), parts)
    assert Counter(found.values()) == {"train": 40, "test": 30}
    assert all(found[f"r{index}"] == found[f"r{index % 7}"] for index in range(70))
    own = [row.with_data({name: index % 10}) for index, row in enumerate(rows)]
    found = divided(own, Splitting(keep_together=(name,)), parts)
    assert Counter(found.values()) == {"train": 35, "test": 35}
    assert all(found[f"r{index}"] == found[f"r{index % 10}"] for index in range(70))


def test_rows_without_the_value_are_not_kept_together() -> None:
    rows = rows_of([{"topic": "tea"}, *[{"topic": None}, {}] * 20])
    found = divided(rows, Splitting(keep_together=("topic",)), {"train": 0.5, "test": 0.5})
    assert Counter(found.values()) == {"train": 21, "test": 20}


WORDS = [f"{number * 104_729:x}" for number in range(500, 900)]


def edited_texts(count: int, seed: int) -> list[str]:
    """Random texts, half of which are light edits of an earlier one."""
    draw = random.Random(seed)
    texts: list[list[str]] = []
    for index in range(count):
        words = list(draw.choice(texts)) if index % 2 else draw.choices(WORDS, k=15)
        for _ in range(draw.randrange(7)):
            words[draw.randrange(15)] = draw.choice(WORDS)
        texts.append(words)
    return [" ".join(words) for words in texts]


@pytest.mark.parametrize("threshold", [0.5, 0.65, 0.8, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_near_duplicates_are_grouped_as_by_comparing_all_pairs(threshold: float, seed: int) -> None:
    texts = edited_texts(80, seed)
    rows = rows_of([{"text": text} for text in texts])
    groups = Groups()
    unite_near_duplicates(lambda: iter(rows), lambda row: row.data["text"], threshold, groups)
    expected = Groups()
    sets = [shingles(text, 5, "chars") for text in texts]
    for later, earlier in combinations(range(len(rows)), 2):
        if jaccard(sets[later], sets[earlier]) >= threshold:
            expected.unite(rows[later].family, rows[earlier].family)
    assert [groups.name(r.family) for r in rows] == [expected.name(r.family) for r in rows]
    assert 1 < len({groups.name(row.family) for row in rows}) < 80


def test_a_crowded_bucket_is_grouped_in_passable_time() -> None:
    rows = rows_of(
        [{"text": f"The very same words stand in all of them, {n}."} for n in range(1500)]
    )
    groups = Groups()
    unite_near_duplicates(lambda: iter(rows), lambda row: row.data["text"], 0.7, groups)
    assert len({groups.name(row.family) for row in rows}) == 1


def templated_texts(count: int, seed: int) -> list[str]:
    """Texts with most words in common, of which few are alike and most are just not."""
    draw = random.Random(seed)
    frame = draw.choices(WORDS, k=40)
    return [" ".join([*frame, *draw.choices(WORDS, k=draw.randrange(6, 20))]) for _ in range(count)]


@pytest.mark.parametrize("threshold", [0.75, 0.8])
def test_texts_of_one_template_are_grouped_as_by_comparing_all_pairs(threshold: float) -> None:
    texts = templated_texts(90, 3)
    sets = [shingles(text, 5, "chars") for text in texts]
    expected = Groups(map(str, range(len(texts))))
    for one, other in combinations(range(len(texts)), 2):
        if jaccard(sets[one], sets[other]) >= threshold:
            expected.unite(str(one), str(other))
    names = [expected.name(str(place)) for place in range(len(texts))]
    assert alike(texts, threshold) == [
        [place for place, own in enumerate(names) if own == name] for name in dict.fromkeys(names)
    ]
    assert 1 < len(set(names)) < 90


def test_overlaps_give_the_texts_that_comparing_all_gives() -> None:
    texts = [
        *templated_texts(30, 1),
        *edited_texts(30, 2),
        "",
        "a",
        "\u4f60\u597d\u4e16\u754c\u4f60\u597d",
        "e\u0301" * 9,
    ]
    sets = [shingles(text, 5, "chars") for text in texts]
    hashes = near.hashed(texts)
    like = [
        (place, other)
        for place, own in enumerate(sets)
        for other, its in enumerate(sets)
        if jaccard(own, its) >= 0.7
    ]
    found = Overlaps(hashes, 0.7).like(hashes)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == like


def test_a_crowd_just_under_the_threshold_is_hardly_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[float] = []

    def counting(one: set[str], other: set[str]) -> float:
        compared.append(jaccard(one, other))
        return compared[-1]

    monkeypatch.setattr(near, "jaccard", counting)
    draw = random.Random(5)
    frame = " ".join(draw.choices(WORDS, k=40))
    texts = [f"{frame} {' '.join(draw.choices(WORDS, k=7))}" for _ in range(400)]
    groups = alike(texts, 0.8)
    assert len(groups) > 300
    assert len(compared) < 1000  # of 79,800 pairs


def test_case_and_punctuation_do_not_make_a_text_another() -> None:
    rows = rows_of(
        [{"q": "When does it open?"}, {"q": "when does it open"}, {"q": "Who knows it?"}]
    )
    parts = {"train": 0.5, "test": 0.5}
    found = divided(rows, Splitting(near_duplicates=1.0, compare=("q",)), parts)
    assert found["r0"] == found["r1"] != found["r2"]


@pytest.mark.parametrize(
    ("splitting", "message"),
    [
        (Splitting(keep_together=("topc",)), "splitting.keep_together: unknown column 'topc'"),
        (
            Splitting(near_duplicates=0.8, compare=("texts",)),
            "splitting.compare: unknown column 'texts'; fix: write 'text'",
        ),
    ],
)
def test_columns_that_no_row_has_are_named(splitting: Splitting, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        divided(rows_of([{"topic": "tea", "text": "x"}]), splitting, SHARES)


def test_labels_are_shared_out_by_split_and_one_that_no_row_has_is_named() -> None:
    rows = rows_of([{"text": "x", "label": "ab"[index % 10 == 0]} for index in range(100)])
    division = Division(Splitting(), "label")
    division.check_columns()  # there are no rows, and so no columns that lack
    for row in rows:
        division.survey(row)
    division.check_columns()
    split_of = division.divide(SHARES, 7, lambda: iter(rows), lambda row: row.data)
    found = Counter((split_of[row.family], row.data["label"]) for row in rows)
    assert [found[split, "b"] for split in SHARES] == [8, 1, 1]
    assert [found[split, "a"] for split in SHARES] == [72, 9, 9]
    division = Division(Splitting(), "lable")
    division.survey(rows[0])
    with pytest.raises(UsageError, match="label: unknown column 'lable'; fix: write 'label'"):
        division.check_columns()


def test_by_hash_the_names_alone_decide() -> None:
    rows = rows_of([{"text": "x"}] * 40, [f"f{index}+g{index // 2}" for index in range(40)])
    found = divided(rows, Splitting(method="hash"), SHARES)
    expected = assign_by_hash([row.family for row in rows], SHARES, 7)
    assert found == {row.id: expected[row.family] for row in rows}
    assert found != divided(rows, Splitting(), SHARES)


def test_several_rows_of_a_family_count_as_many() -> None:
    rows = rows_of([{"text": "x"}] * 30, [f"f{max(0, index - 19)}" for index in range(30)])
    found = divided(rows, Splitting(), {"train": 2, "test": 1})
    assert Counter(found.values()) == {"train": 20, "test": 10}
    assert len({found[f"r{index}"] for index in range(20)}) == 1


def test_rows_are_compared_by_the_columns_named_or_by_all_text_of_the_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[Any] = []

    def unite(rows: Any, text: Any, threshold: float, groups: Groups) -> None:
        compared.append((threshold, [text(row) for row in rows()]))

    monkeypatch.setattr(near, "unite_near_duplicates", unite)
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows = rows_of([{"a": "one", "n": 3, "chat": chat}, {"a": None, "chat": ("x", ["y"])}])
    for compare in ((), ("chat", "a")):
        splitting = Splitting(near_duplicates=0.7, compare=compare)
        divided(rows, splitting, SHARES)
    assert compared == [
        (0.7, ["one\nuser\nHi\nassistant\nHello", "x\ny"]),
        (0.7, ["user\nHi\nassistant\nHello\none", "x\ny"]),
    ]


def test_what_is_kept_together_is_said() -> None:
    same = "Rows with the same topic or key are in the same split."
    assert Splitting().describe() == ""
    assert Splitting(keep_together=("topic", "key")).describe() == same
    everything = Splitting(keep_together=("topic", "key"), near_duplicates=0.8, method="hash")
    assert everything.describe() == (
        f"{same} Rows whose texts have a Jaccard similarity of 0.8 or more (character 5-grams, "
        "verified) are in the same split. The split of a row is a hash of what it is kept together "
        "with, so rows that are added later do not move it; shares are met on average."
    )


def test_the_settings_have_defaults_and_cannot_be_changed() -> None:
    splitting = Splitting()
    defaults = {"method": "exact", "keep_together": (), "near_duplicates": None, "compare": ()}
    assert splitting.model_dump() == defaults
    with pytest.raises(ValidationError, match="frozen"):
        splitting.method = "hash"  # type: ignore[misc]


@pytest.mark.parametrize(
    "settings",
    [
        {"near_duplicates": 0.1},
        {"near_duplicates": 1.5},
        {"compare": ["q"]},
        {"method": "random"},
        {"by": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Splitting.model_validate(settings)


def test_the_dataset_and_its_card_keep_what_was_asked_for_together(tmp_path: Path) -> None:
    splitting = Splitting(keep_together=("topic",), near_duplicates=0.9)
    parts = {"train": 0.7, "test": 0.3}
    exporter = HfDataset(splits=parts, splitting=splitting, row_id="row")
    exported(exporter, questions(60), tmp_path / "dataset")
    loaded_rows = loaded(tmp_path / "dataset")
    topics = {split: set(loaded_rows[split]["topic"]) for split in parts}
    assert topics["train"].isdisjoint(topics["test"])
    card = (tmp_path / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "Rows with the same topic are in the same split." in card
    assert "Jaccard similarity of 0.9 or more" in card
