from dataclasses import FrozenInstanceError

import pytest

from pipelines.rows import Fault, Rejection, Row, canonical, digest, seed_for


def row() -> Row:
    return Row("aa", (17,), "aa", {"text": "x"}, ({"stage": "source"},))


def test_a_row_is_written_and_read_back_unchanged() -> None:
    changed = row().with_data({"n": 1}, {"stage": "s"}).child("s", 2)
    assert Row.from_json(changed.as_json()) == changed
    assert changed.as_json()["order"] == "17.2"


def test_copy_zero_keeps_its_id_and_the_others_get_their_own() -> None:
    first, second, other = row().child("s", 0), row().child("s", 1), row().child("t", 1)
    assert first.id == "aa"
    assert len({first.id, second.id, other.id}) == 3
    assert {first.family, second.family} == {"aa"}


def test_changing_a_column_leaves_the_row_it_came_from_alone() -> None:
    original = row()
    original.with_data({"text": "y"}, {"stage": "s"})
    assert original.data == {"text": "x"}
    assert len(original.history) == 1


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(["a", "b"]) != digest("a", "b")
    assert canonical({"é": "\u2028"}) == '{"é":"\u2028"}'


def test_every_part_of_its_place_changes_a_seed() -> None:
    seeds = {
        seed_for(1, "s", "r"),
        seed_for(2, "s", "r"),
        seed_for(1, "t", "r"),
        seed_for(1, "s", "q"),
        seed_for(1, "s", "r", 1),
        seed_for(1, "s", "r", 0, 1),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_seeds_are_the_same_for_ever() -> None:
    assert seed_for(7, "question", "00ff") == seed_for(7, "question", "00ff")
    assert seed_for(7, "question", "00ff") == 4306161514860350


def test_a_row_and_a_rejection_are_written_with_all_they_hold() -> None:
    written = {"id": "aa", "order": "17", "family": "aa", "data": {"text": "x"}}
    history = {"history": [{"stage": "source"}]}
    assert row().as_json() == written | history
    rejection = Rejection(row(), "too_long", {"words": 31}, attempts=3, stage="length")
    verdict = {"stage": "length", "reason": "too_long", "detail": {"words": 31}, "attempts": 3}
    assert rejection.as_json() == written | history | verdict
    once = Rejection(row(), "bad").as_json()
    assert (once["stage"], once["detail"], once["attempts"]) == ("", {}, 1)


def test_an_identity_is_the_same_for_ever() -> None:
    """A changed one gives every row another id, and so another seed: change it on purpose only."""
    assert digest("a", 1, {"b": None}) == "b1be2fbe696c6cab"
    assert row().child("s", 1).id == "cd76bd10e259376e"
    assert digest("half \ud83d") != digest("half \ud83e")


def test_an_event_goes_behind_the_history_and_none_leaves_it() -> None:
    row = Row("a", (0,), "a", {"text": "One."}, history=({"stage": "first"},))
    told = row.with_data({"text": "Two."}, {"stage": "second"})
    assert told.history == ({"stage": "first"}, {"stage": "second"})
    assert told.with_data({"more": 1}).history == told.history
    assert (row.data, row.history) == ({"text": "One."}, ({"stage": "first"},))


def test_rows_rejections_and_faults_cannot_be_changed() -> None:
    row = Row("a", (0,), "a", {})
    for each, name in ((row, "id"), (Rejection(row, "x"), "reason"), (Fault("x"), "reason")):
        with pytest.raises(FrozenInstanceError):
            setattr(each, name, "other")
