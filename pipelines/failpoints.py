"""Places in the writing of a run where a test can make a process die or a disk fail.

    TEXTMILL_FAILPOINT='progress.after_write=kill'       die there, as by `kill -9`
    TEXTMILL_FAILPOINT='file.after_rename@3=enospc'      at the third visit the disk is full
    TEXTMILL_FAILPOINT='trace'                           tell on stderr which places are visited

Random kills hardly ever hit the few microseconds in which a file is torn, so that every such place
has a name, and the tests kill the process at each. Without the variable a visit is one look into
the environment, a few times a block.
"""

import errno
import os
import signal
import sys
from collections import Counter

VARIABLE = "TEXTMILL_FAILPOINT"

NAMES = (
    "rows.before_write",
    "rows.after_write",
    "rows.after_fsync",
    "rejected.before_write",
    "rejected.after_write",
    "rejected.after_fsync",
    "progress.before_write",
    "progress.after_write",
    "progress.after_fsync",
    "file.before_write",
    "file.after_write",
    "file.after_fsync",
    "file.after_rename",
    "file.after_folder_sync",
    "ledger.before_insert",
    "ledger.before_commit",
    "ledger.after_commit",
    "export.before_write",
    "export.after_write",
    "export.after_fsync",
    "export.after_move_aside",
    "export.after_rename",
    "export.after_folder_sync",
)
"""Every place, in the order of the files that it belongs to."""

_FAULTS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_visits: Counter[str] = Counter()


def reach(name: str) -> None:
    """Say that the process is at a place; nothing happens unless the environment asks for it.

    Args:
        name: One of `NAMES`.

    Raises:
        OSError: The environment wants a full disk (`enospc`) or a failing one (`eio`) here.
        ValueError: The environment names no such place or action.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted == "trace":
        sys.stderr.write(f"failpoint {name}\n")
    elif wanted:
        _fail(name, wanted)


def _fail(name: str, wanted: str) -> None:
    place, _, action = wanted.partition("=")
    place, _, visit = place.partition("@")
    if place not in NAMES or action not in {"kill", *_FAULTS}:
        raise ValueError(f"{VARIABLE}={wanted}: not PLACE=ACTION or PLACE@VISIT=ACTION")
    if place != name:
        return
    _visits[name] += 1
    if _visits[name] != int(visit or 1):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(_FAULTS[action], os.strerror(_FAULTS[action]))
