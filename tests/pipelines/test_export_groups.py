"""Groups of families, compared with repainting all of them at every union."""

import random

from pipelines.exporters.groups import Groups


def test_joined_families_and_values_in_common_unite() -> None:
    groups = Groups(["a", "b+c", "d"])
    groups.add("c+e+f")
    assert [groups.name(family) for family in "abcdefg"] == ["a", "b", "b", "d", "b", "b", "g"]
    assert groups.name("f+x") == "b"  # a joined family is where its first one is
    groups.unite("f+y", "d+z")
    assert groups.name("d") == groups.name("b+c") == "b"
    assert groups.name("y") == "y"
    groups.tie("g+h", ("topic", "tea"))
    groups.tie("a", ("topic", "tea"))
    groups.tie("i", ("topic", ["tea"]))
    groups.tie("j", ("key", "tea"))
    assert groups.name("a") == groups.name("g") == ' ["topic","tea"]'
    assert len({groups.name(family) for family in "abhij"}) == 5


def test_a_group_is_named_after_its_smallest_member_in_any_order_of_unions() -> None:
    draw = random.Random(3)
    families = [f"f{number:02}" for number in range(60)]
    unions = [(draw.choice(families), draw.choice(families)) for _ in range(45)]
    colour = {family: family for family in families}
    for one, other in unions:
        least, most = sorted((colour[one], colour[other]))
        colour = {family: least if own == most else own for family, own in colour.items()}
    for _ in range(20):
        draw.shuffle(unions)
        groups = Groups(families)
        for one, other in unions:
            groups.unite(*draw.sample((one, other), 2))
        assert {family: groups.name(family) for family in families} == colour
    assert 10 < len(set(colour.values())) < 50


def test_a_long_chain_of_unions_is_found_through() -> None:
    groups = Groups()
    for number in range(5_000, 0, -1):
        groups.unite(f"f{number:04}", f"f{number - 1:04}")
    assert groups.name("f5000") == groups.name("f2500") == "f0000"
