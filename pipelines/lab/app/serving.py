"""What the command `lab` does: check who may come in, open the desk, print the address, serve.

the lab is open at http://127.0.0.1:8765/#4f2a...; Ctrl-C ends it
"""

import secrets
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pipelines.console import say, show
from pipelines.job import LoadedJob
from pipelines.lab.app.desk import Desk
from pipelines.lab.app.ratings import Ratings
from pipelines.lab.app.server import LabServer
from pipelines.lab.app.worker import Worker
from pipelines.launch import outputs_folder
from prompts.errors import UsageError

SHORTEST = 16
"""Characters that a token of one's own must have."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the lab is, and who may come in.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        token: What requests must know; empty makes a random one, on this machine alone.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""

    def key(self) -> str:
        """The token.

        Raises:
            UsageError: Other machines could come in and no token, or too short a one, is given.
        """
        if self.token:
            if len(self.token) < SHORTEST or not self.token.isascii() or " " in self.token:
                fix = f"take {SHORTEST} letters and digits or more"
                raise UsageError("the token is too easy to guess", fix=fix, key="--token")
            return self.token
        if not _only_here(self.host):
            fix = f"give --token with {SHORTEST} characters or more, or leave out --host"
            problem = f"{self.host} can be reached from other machines"
            raise UsageError(problem, fix=fix, key="--host")
        return secrets.token_urlsafe(24)


def open_lab(
    loaded: LoadedJob | None,
    door: Door,
    *,
    ledger: Path | None = None,
    ratings: Path | None = None,
    runs: Path | None = None,
    offline: bool = False,
) -> tuple[LabServer, Worker]:
    """The lab, ready to serve.

    Raises:
        UsageError: The job has a fault, the port is taken, or the token is missing.
        CorruptRunError: The file of ratings is damaged.
    """
    token = door.key()
    if loaded is not None:
        loaded.check()
    outputs = runs or outputs_folder()
    name = loaded.job.name if loaded is not None else "lab"
    kept = Ratings(ratings or outputs / f"{name}.ratings.jsonl")
    worker = Worker(ledger or outputs / "ledger.sqlite", offline=offline)
    desk = Desk(loaded, worker, kept, outputs)
    try:
        return LabServer(desk, host=door.host, port=door.port, token=token), worker
    except UsageError:
        worker.close()
        raise


def serve_lab(server: LabServer, worker: Worker) -> None:
    """Serve until Ctrl-C."""
    show(server.url)
    say("the lab is open at that address, for whoever has it; Ctrl-C ends it")
    with closing(worker), server:
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("closed")


def _only_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
