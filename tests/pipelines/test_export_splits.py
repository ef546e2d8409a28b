from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exporters.groups import Groups
from pipelines.exporters.splits import assign, assign_by_hash, largest_remainder
from pipelines.rows import JSON, digest

Sizes = dict[tuple[str, str], int]

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}

families = st.text(alphabet="abcdefgh", min_size=1, max_size=2)
joined = st.lists(families, min_size=1, max_size=3).map("+".join)
shares = st.dictionaries(
    st.sampled_from(["train", "validation", "test", "extra"]),
    st.floats(min_value=0.01, max_value=1, allow_subnormal=False),
    min_size=1,
)


def sizes(names: st.SearchStrategy[str], most: int = 9) -> st.SearchStrategy[Sizes]:
    keys = st.tuples(names, st.sampled_from(["", "x", "y"]))
    return st.dictionaries(keys, st.integers(1, most), max_size=60)


def rows_by_split(
    split_of: Mapping[str, str], of: Sizes, splits: Mapping[str, float]
) -> Counter[str]:
    counts: Counter[str] = Counter(dict.fromkeys(splits, 0))
    for (family, _), rows in of.items():
        counts[split_of[family]] += rows
    return counts


def group_sizes(of: Sizes) -> list[int]:
    """Rows of each group of united families, found the slow way: by repainting."""
    colour = {atom: atom for family, _ in of for atom in family.split("+")}
    for family, _ in of:
        first, *others = family.split("+")
        for other in others:
            old, new = colour[other], colour[first]
            colour = {atom: new if c == old else c for atom, c in colour.items()}
    groups: Counter[str] = Counter()
    for (family, _), rows in of.items():
        groups[colour[family.split("+")[0]]] += rows
    return list(groups.values())


@given(sizes(joined), shares, st.integers(0, 9))
def test_a_family_is_never_in_two_splits(of: Sizes, parts: dict[str, float], seed: int) -> None:
    split_of = assign(of, parts, seed)
    assert set(split_of) == {family for family, _ in of}
    of_atom: dict[str, str] = {}
    for family, split in split_of.items():
        for atom in family.split("+"):
            assert of_atom.setdefault(atom, split) == split


@given(sizes(joined), shares, st.integers(0, 9))
def test_sizes_are_within_the_largest_group_of_the_target(
    of: Sizes, parts: dict[str, float], seed: int
) -> None:
    counts = rows_by_split(assign(of, parts, seed), of, parts)
    targets = largest_remainder(sum(of.values()), parts)
    largest = max(group_sizes(of), default=0)
    # A split whose target is smaller than a group may have to be filled from another one.
    filled = sum(1 for target in targets.values() if target < largest)
    for split, target in targets.items():
        assert abs(counts[split] - target) < max(largest, 1) * (1 + filled)


@given(sizes(families), st.integers(0, 9))
def test_no_split_is_empty_when_there_are_groups_enough(of: Sizes, seed: int) -> None:
    counts = rows_by_split(assign(of, SHARES, seed), of, SHARES)
    full = sum(1 for split in SHARES if counts[split])
    assert full == min(len(SHARES), len({family for family, _ in of}))


@given(st.data(), sizes(joined), st.integers(0, 9))
def test_the_order_of_rows_changes_nothing(data: st.DataObject, of: Sizes, seed: int) -> None:
    shuffled = dict(data.draw(st.permutations(list(of.items()))))
    assert assign(shuffled, SHARES, seed) == assign(of, SHARES, seed)


@settings(max_examples=30)
@given(st.integers(1, 300), shares, st.integers(0, 9))
def test_rows_that_are_all_alone_are_shared_out_exactly(
    count: int, parts: dict[str, float], seed: int
) -> None:
    of = {(f"f{index}", ""): 1 for index in range(count)}
    targets = largest_remainder(count, parts)
    counts = rows_by_split(assign(of, parts, seed), of, parts)
    if all(targets.values()):
        assert counts == targets


def test_each_label_has_its_share_of_every_split() -> None:
    labels = ["rare"] * 10 + ["common"] * 90
    of = {(f"f{index}", label): 1 for index, label in enumerate(labels)}
    split_of = assign(of, SHARES, seed=1)
    found = Counter((split_of[family], label) for family, label in of)
    assert found == {
        ("train", "rare"): 8,
        ("validation", "rare"): 1,
        ("test", "rare"): 1,
        ("train", "common"): 72,
        ("validation", "common"): 9,
        ("test", "common"): 9,
    }


def test_remainders_of_many_small_labels_do_not_all_go_to_one_split() -> None:
    of = {(f"f{index}", f"label {index % 10}"): 1 for index in range(50)}
    counts = rows_by_split(assign(of, SHARES, seed=1), of, SHARES)
    assert counts == {"train": 40, "validation": 5, "test": 5}


def test_a_split_that_wants_a_label_does_not_take_more_of_it_than_it_has_room_for() -> None:
    of = {("f0", "y"): 3, ("f1", "y"): 1, ("f2", "x"): 4, ("f3", "y"): 4, ("f4", "x"): 4}
    parts = {"train": 0.3, "validation": 0.25, "test": 0.3}
    assert largest_remainder(16, parts) == {"train": 6, "validation": 5, "test": 5}
    counts = rows_by_split(assign(of, parts, 0), of, parts)
    assert counts == {"train": 7, "validation": 4, "test": 5}


def test_large_and_small_families_are_spread_alike() -> None:
    of = {(f"large {index}", ""): 4 for index in range(50)}
    of |= {(f"small {index}", ""): 1 for index in range(50)}
    split_of = assign(of, SHARES, seed=3)
    in_test = Counter(family.split()[0] for family, split in split_of.items() if split == "test")
    assert in_test == {"large": 5, "small": 5}


def test_splits_are_a_fixed_function_of_family_and_seed() -> None:
    of = {(f"f{index}", ""): 1 for index in range(8)}
    halves = {"train": 0.5, "test": 0.5}
    in_test = {family for family, split in assign(of, halves, seed=7).items() if split == "test"}
    assert in_test == {"f1", "f3", "f5", "f7"}
    assert assign(of, halves, seed=8) != assign(of, halves, seed=7)


def test_where_every_family_goes_is_the_same_for_ever() -> None:
    """A change moves rows from the training to the test split of every user: on purpose only."""
    found: list[JSON] = []
    for count in (1, 2, 3, 4, 7, 20, 100):
        names = [f"f{n}" for n in range(count)]
        names += [f"f{n}+f{n * n % count}" for n in range(3, count, 5)]
        of = {(name, "xyz"[n * n % 3]): 1 + n * n % 9 for n, name in enumerate(names)}
        for parts in (SHARES, {"a": 0.3, "b": 0.3, "c": 0.25, "d": 0.15, "e": 2.0}):
            groups = Groups()
            groups.tie(names[0], ("topic", "tea"))
            groups.tie(names[count - 1], ("topic", "tea"))
            found.append(sorted(assign(of, parts, count, groups).items()))
            found.append(sorted(assign_by_hash((name for name, _ in of), parts, count).items()))
    assert digest(found) == "034a82bd149c06f3"


def test_families_are_united_through_a_chain_of_parents() -> None:
    of = {("a", ""): 1, ("a+b", ""): 1, ("c+b", ""): 1, ("c", ""): 1, ("d", ""): 1}
    split_of = assign(of, {"train": 0.5, "test": 0.5}, seed=0)
    assert len({split_of[family] for family in ("a", "a+b", "c+b", "c")}) == 1
    assert split_of["d"] != split_of["a"]


def test_a_family_larger_than_every_split_leaves_no_split_empty() -> None:
    of = {("big", ""): 97, ("small", ""): 1, ("smaller", ""): 2}
    split_of = assign(of, SHARES, seed=0)
    assert split_of["big"] == "train"
    assert set(split_of.values()) == set(SHARES)


def test_a_split_gives_groups_to_empty_ones_as_long_as_it_has_two() -> None:
    split_of = assign({("a", ""): 50, ("b", ""): 1}, {"train": 0.998, "x": 0.001, "y": 0.001}, 0)
    assert split_of["a"] == "train"
    assert split_of["b"] in {"x", "y"}


def test_an_empty_split_is_given_a_group_of_the_largest_split() -> None:
    of = {(f"f{index}", ""): 2 for index in range(10)}
    parts = {"small": 0.4, "empty": 0.001, "large": 0.6}
    assert largest_remainder(20, parts) == {"small": 8, "empty": 0, "large": 12}
    counts = rows_by_split(assign(of, parts, 0), of, parts)
    assert counts == {"small": 8, "empty": 2, "large": 10}


def test_fewer_rows_than_splits_fill_the_largest_shares_first() -> None:
    split_of = assign({("a", ""): 1, ("b", ""): 1}, {"test": 0.1, "train": 0.6, "dev": 0.3}, 0)
    assert set(split_of.values()) == {"train", "dev"}


def test_no_rows_give_no_families() -> None:
    assert assign({}, SHARES, seed=0) == {}


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (0, {"train": 0, "validation": 0, "test": 0}),
        (1, {"train": 1, "validation": 0, "test": 0}),
        (5, {"train": 4, "validation": 1, "test": 0}),
        (30, {"train": 24, "validation": 3, "test": 3}),
        (99, {"train": 79, "validation": 10, "test": 10}),
    ],
)
def test_largest_remainder(total: int, expected: dict[str, int]) -> None:
    assert largest_remainder(total, SHARES) == expected


def test_shares_are_the_decimals_they_are_written_as() -> None:
    # 0.29 * 100 is 28.999999999999996 in binary.
    assert largest_remainder(100, {"a": 0.29, "b": 0.71}) == {"a": 29, "b": 71}
    # 3.5 and 6.5 tie, but 0.35 is less than 35/100 in binary.
    assert largest_remainder(10, {"a": 0.35, "b": 0.65}) == {"a": 4, "b": 6}


@given(sizes(families), shares, st.integers(0, 9), st.data())
def test_by_hash_rows_that_are_added_move_no_others(
    of: Sizes, parts: dict[str, float], seed: int, data: st.DataObject
) -> None:
    names = [family for family, _ in of]
    kept = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    whole = assign_by_hash(names, parts, seed)
    assert assign_by_hash(kept, parts, seed) == {family: whole[family] for family in kept}


@given(sizes(joined), shares, st.integers(0, 9))
def test_by_hash_a_family_is_never_in_two_splits(
    of: Sizes, parts: dict[str, float], seed: int
) -> None:
    of_atom: dict[str, str] = {}
    for family, split in assign_by_hash([name for name, _ in of], parts, seed).items():
        for atom in family.split("+"):
            assert of_atom.setdefault(atom, split) == split


def test_by_hash_shares_are_met_on_average() -> None:
    split_of = assign_by_hash([f"f{index}" for index in range(10_000)], SHARES, seed=5)
    counts = Counter(split_of.values())
    for split, share in SHARES.items():  # four standard deviations
        assert abs(counts[split] - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5


def test_by_hash_a_further_row_of_a_known_document_goes_to_the_others_of_it() -> None:
    found = set()
    for count in range(1, 30):
        names = [f"f{30 - index:02}" for index in range(count)]  # the newest has the smallest name
        groups = Groups()
        for name in names:
            groups.tie(name, ("document", "leave.md"))
        found |= set(assign_by_hash(names, SHARES, 3, groups).values())
    assert len(found) == 1
