import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import REPOSITORY

from chains.calls import Call, Message, Reply
from chains.decoding import Beam, Greedy, Sample
from chains.decoding.bans import NoRepeatNgram
from pipelines import failpoints
from pipelines import ledger as ledgers
from pipelines.ledger import Ledger, call_key, vector_key
from prompts.errors import CorruptRunError, ResourceError

CHAT = (Message("system", "Be brief."), Message("user", "Hello"))
CALL = Call(CHAT, Sample(temperature=0.7), seed=5)
LONG, SHORT = NoRepeatNgram(size=5), NoRepeatNgram(size=2)
REPLY = Reply("Blue.", "stop", 12, 3, -1.25)


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, seed=6),
        replace(CALL, decoding=Sample(temperature=0.8)),
        replace(CALL, decoding=Sample(temperature=0.7, stop=("x",))),
        replace(CALL, messages=(Message("system", "Be long."), CHAT[1])),
        replace(CALL, messages=(CHAT[0], Message("assistant", "Hello"))),
        replace(CALL, messages=(Message("user", "Be brief."), CHAT[1])),
    ],
)
def test_whatever_decides_a_reply_changes_its_key(other: Call) -> None:
    assert call_key("model", CALL) != call_key("model", other)


def test_any_text_has_a_key_of_its_own() -> None:
    texts = ["half \ud83d", "half \ud83e", "half \ufffd", "whole \U0001f9f5", "a\0b", ""]
    calls = [replace(CALL, messages=(Message("user", text),)) for text in texts]
    assert len({call_key("model", call) for call in calls}) == len(texts)
    assert len({vector_key("model", text) for text in texts}) == len(texts)


def test_what_a_reply_is_held_to_changes_the_key() -> None:
    guided = [replace(CALL, guides=guides) for guides in ((LONG,), (SHORT,), (LONG, SHORT))]
    assert len({call_key("model", call) for call in (CALL, *guided)}) == 4


def test_another_model_changes_the_key() -> None:
    assert call_key("model", CALL) != call_key("model 2", CALL)


def test_a_deterministic_call_has_one_key_whatever_its_seed() -> None:
    greedy = Call(CHAT, Greedy(), seed=1)
    assert call_key("m", greedy) == call_key("m", replace(greedy, seed=2))


def test_more_replies_leave_the_keys_of_independent_ones_alone() -> None:
    assert call_key("m", CALL) == call_key(
        "m", replace(CALL, decoding=Sample(temperature=0.7, n=9))
    )
    beam = Call(CHAT, Beam(n=1))
    assert call_key("m", beam) != call_key("m", Call(CHAT, Beam(n=2)))


def test_keys_are_the_same_for_ever() -> None:
    """A changed key silently pays every call of every user again: change it on purpose only."""
    assert call_key("model", CALL).hex()[:16] == "8383d7b6a037acad"


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    key = call_key("m", CALL)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([(key, [REPLY, replace(REPLY, text="\u2028 ünï 🧵", logprob=None)])])
    with Ledger(tmp_path / "ledger.sqlite") as again:
        assert again.get([key, b"none"]) == {
            key: [REPLY, replace(REPLY, text="\u2028 ünï 🧵", logprob=None)]
        }


def test_more_keys_than_sqlite_binds_at_once(tmp_path: Path) -> None:
    keys = [call_key("m", replace(CALL, seed=seed)) for seed in range(1201)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([(key, [REPLY]) for key in keys])
        assert len(ledger.get(keys)) == ledger.count() == 1201


def test_a_damaged_entry_is_as_good_as_none(tmp_path: Path) -> None:
    key = call_key("m", CALL)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([(key, [REPLY])])
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("UPDATE calls SET replies = replace(replies, 'Blue', 'Glue')")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.get([key]) == {}


def test_an_entry_that_is_no_text_any_more_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put([(b"first", [REPLY]), (b"second", [replace(REPLY, text="Green.")])])
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"Green", b"\xff\xfe\x80\xc3\x28"))
    with Ledger(path) as ledger:
        assert ledger.get([b"first", b"second"]) == {b"first": [REPLY]}


def test_a_reply_that_stands_under_another_key_is_as_good_as_none(tmp_path: Path) -> None:
    """As where an index is damaged: reply and checksum are whole, but another call's."""
    entries = [(bytes([n]) * 32, [replace(REPLY, text=f"Reply {n}.")]) for n in range(3)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put(entries)
        given = "(SELECT replies, crc FROM calls WHERE key = ?)"
        keys = [key for key, _ in entries]
        ledger._db.execute(
            f"UPDATE calls SET (replies, crc) = {given} WHERE key = ?", (keys[1], keys[0])
        )
        assert ledger.get(keys) == dict(entries[1:])


def test_an_earlier_ledger_goes_on(tmp_path: Path) -> None:
    """Its tables were sorted by key, and its checksums those of the values alone."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(tmp_path / "new.sqlite") as ledger:
        ledger.put([(b"first", [REPLY])])
        [(text,)] = ledger._db.execute("SELECT replies FROM calls").fetchall()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table, value in (("calls", "replies TEXT"), ("vectors", "vector BLOB")):
            columns = f"key BLOB PRIMARY KEY, {value} NOT NULL, crc INTEGER NOT NULL"
            db.execute(f"CREATE TABLE {table} ({columns}) WITHOUT ROWID")
        text, crc = text.decode(), zlib.crc32(text)
        db.execute("INSERT INTO calls VALUES (?, ?, ?)", (b"first", text, crc))
        db.execute("INSERT INTO calls VALUES (?, ?, ?)", (b"damaged", text, crc + 1))
    vector = np.array([1.0, -2.0], dtype=np.float32)
    for _ in range(2):
        with Ledger(path) as ledger:
            found = ledger.get([b"first", b"damaged", b"second"])
            assert {b"second": [REPLY], **found} == {b"first": [REPLY], b"second": [REPLY]}
            ledger.put([(b"second", [REPLY])])
            ledger.put_vectors([(b"v", vector)])
            assert ledger.get_vectors([b"v"])[b"v"].tolist() == [1.0, -2.0]


def test_a_long_reply_takes_little_more_than_its_text(tmp_path: Path) -> None:
    draw = random.Random(2)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        for _ in range(10):
            entries = [(draw.randbytes(32), [Reply("x" * 1_200, "stop")]) for _ in range(50)]
            ledger.put(entries)
    assert path.stat().st_size < 500 * 1_800  # a page of its own for each would be 4,096


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, by far" * 100)
    with pytest.raises(CorruptRunError, match=r"ledger\.sqlite: the ledger cannot be used"):
        Ledger(path)


def test_vectors_are_what_was_stored(tmp_path: Path) -> None:
    vector = np.array([0.1, -0.25, 1.0], dtype=np.float32)
    key = vector_key("e", "text")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put_vectors([(key, vector)])
        stored = ledger.get_vectors([key, b"none"])
    assert list(stored) == [key]
    assert stored[key].dtype == np.float32
    np.testing.assert_array_equal(stored[key], vector.astype(np.float16).astype(np.float32))


def test_the_keys_of_a_ledger_are_those_of_its_calls(tmp_path: Path) -> None:
    keys = [call_key("m", replace(CALL, seed=seed)) for seed in range(3)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([(key, [REPLY]) for key in keys])
        assert ledger.keys() == set(keys)


def test_a_ledger_that_lost_its_table_is_told_and_works_again_with_it(tmp_path: Path) -> None:
    key = call_key("m", CALL)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, closing(sqlite3.connect(path)) as raw:
        raw.execute("ALTER TABLE calls RENAME TO lost")
        raw.commit()
        with pytest.raises(CorruptRunError, match="no such table: calls"):
            ledger.get([key])
        with pytest.raises(CorruptRunError, match="no such table: calls"):
            ledger.put([(key, [REPLY])])
        raw.execute("ALTER TABLE lost RENAME TO calls")
        raw.commit()
        ledger.put([(key, [REPLY])])
        assert ledger.get([key]) == {key: [REPLY]}


def test_a_ledger_without_room_is_told_and_keeps_what_it_has(tmp_path: Path) -> None:
    first, second = call_key("m", CALL), call_key("m", replace(CALL, seed=6))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.put([(first, [REPLY])])
        ledger._db.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages that are there
        with pytest.raises(ResourceError, match=r"cannot write the ledger: .*full"):
            ledger.put([(second, [replace(REPLY, text="long" * 10_000)])])
        assert ledger.get([first, second]) == {first: [REPLY]}
        ledger._db.execute("PRAGMA max_page_count = 1000000")
        ledger.put([(second, [REPLY])])
    with Ledger(tmp_path / "ledger.sqlite") as again:
        assert again.keys() == {first, second}


def test_a_ledger_outlasts_a_loss_of_power_and_waits_for_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "ledger.sqlite"
    with Ledger(path) as ledger:
        names = ("journal_mode", "synchronous", "busy_timeout")
        found = [ledger._db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert found == [b"wal", 2, 60_000]  # 2 is FULL
    assert path.is_file()


def test_a_ledger_is_closed_behind_its_block(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.count() == 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ledger.count()
    assert not (tmp_path / "ledger.sqlite-wal").exists()  # which the last one that closes removes


def test_calls_are_written_as_a_whole_between_their_named_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, visited = tmp_path / "ledger.sqlite", []
    keys = [call_key("m", replace(CALL, seed=seed)) for seed in range(3)]
    with Ledger(path) as ledger, closing(sqlite3.connect(path, timeout=0)) as other:

        def reach(name: str) -> None:
            seen = other.execute("SELECT count(*) FROM calls").fetchone()[0]
            visited.append((name, ledger._db.in_transaction, seen))
            if ledger._db.in_transaction:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")

        monkeypatch.setattr(ledgers, "reach", reach)
        ledger.put([(key, [REPLY]) for key in keys])
    assert visited == [
        ("ledger.before_insert", False, 0),
        ("ledger.before_commit", True, 0),
        ("ledger.after_commit", False, 3),
    ]
    assert {name for name, _, _ in visited} <= set(failpoints.NAMES)


def test_a_ledger_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger._db.execute("PRAGMA query_only = ON")
        with pytest.raises(ResourceError, match=r"cannot write the ledger: .*readonly"):
            ledger.put([(call_key("m", CALL), [REPLY])])
        ledger._db.execute("PRAGMA query_only = OFF")
        ledger.put([(call_key("m", CALL), [REPLY])])
        assert ledger.count() == 1


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, most[1]))
            with pytest.raises(ResourceError, match=r"cannot write the ledger: disk I/O error"):
                ledger.put([(call_key("m", CALL), [replace(REPLY, text="long" * 20_000)])])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, most)
        assert ledger.get([call_key("m", CALL)]) == {}
        _goes_on(ledger)


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=256k none disk && "$@"
"""
FILLS_ITS_DISK = """
from pathlib import Path
from chains.calls import Reply
from pipelines.ledger import Ledger
from prompts.errors import ResourceError

with Ledger(Path("disk/ledger.sqlite")) as ledger:
    ledger.put([(b"first", [Reply("kept", "stop")])])
    filler = Path("disk/filler")
    filler.write_bytes(b"x" * 150_000)
    try:
        ledger.put([(b"second", [Reply("long" * 20_000, "stop")])])
    except ResourceError as exc:
        print(exc.problem, ledger.keys())
    filler.unlink()
    ledger.put([(b"third", [Reply("also", "stop")])])
    print(sorted(Ledger(ledger.path).keys()))
"""


def test_a_ledger_whose_disk_is_full_at_its_commit_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    apart = ["unshare", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("only the superuser of this machine can mount a small disk")
    (tmp_path / "disk").mkdir()
    command = [*apart, "sh", "-c", ON_A_SMALL_DISK, "sh", sys.executable, "-c", FILLS_ITS_DISK]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    said = "cannot write the ledger: database or disk is full {b'first'}"
    assert ended.stdout.splitlines() == [said, "[b'first', b'third']"]


@pytest.mark.parametrize("place", ["ledger.before_insert", "ledger.before_commit"])
def test_a_ledger_goes_on_after_a_fault_at_a_named_place(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = failpoints._visits[place] + 1
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        monkeypatch.setenv(failpoints.VARIABLE, f"{place}@{visit}=enospc")
        with pytest.raises(ResourceError, match="cannot be written: No space left"):
            ledger.put([(call_key("m", replace(CALL, seed=9)), [REPLY])])
        monkeypatch.delenv(failpoints.VARIABLE)
        _goes_on(ledger)


def _goes_on(ledger: Ledger) -> None:
    """The ledger is empty, and takes a call that another process then reads."""
    assert not ledger._db.in_transaction
    assert ledger.count() == 0
    ledger.put([(call_key("m", CALL), [REPLY])])
    with Ledger(ledger.path) as other:
        assert other.get([call_key("m", CALL)]) == {call_key("m", CALL): [REPLY]}
