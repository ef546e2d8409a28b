"""Shards: N runs of one job, each of its own share of the source rows, which `merge` makes one.

    shard = Shard.parse("2/4")
    shard.owns(row.id)          # for one of the four, decided by the id alone

Every shard goes through the same blocks of the same source and takes its rows out of each, so that
the blocks of the merged run are those of a run without shards. A shard knows nothing of the others:
it does not stop at the job's `rows`, and a stage that remembers rows remembers its own.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.job import Job
from prompts.errors import UsageError

SHARD = ".shard"
"""In a run folder: which shard it is; a run without shards has no such file."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares of a job.

    Attributes:
        number: Which one, from 1.
        total: How many there are.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that `2/4` names.

        Raises:
            UsageError: It names none.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            fix = "write the number of the shard and how many there are, such as 1/4"
            raise UsageError(f"'{text}' is no shard", fix=fix, key="--shard")
        return cls(int(match[1]), int(match[2]))

    def owns(self, row_id: str) -> bool:
        """Whether a source row is in this shard; in exactly one of all."""
        return int(row_id, 16) % self.total == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def recorded_shard(run: Path) -> Shard | None:
    """The shard that a run folder is; None for a run without shards."""
    file = run / SHARD
    return Shard.parse(file.read_text(encoding="utf-8").strip()) if file.exists() else None


def agreed_shard(run: Path, asked: Shard | None) -> Shard | None:
    """The shard that a run goes on as.

    Raises:
        UsageError: It was begun as another one.
    """
    began = recorded_shard(run)
    if asked is not None and asked != began:
        was = f"shard {began}" if began else "a run without shards"
        fix = "give --out a new folder"
        raise UsageError(f"the run there was begun as {was}", fix=fix, file=run)
    return began


def check_shardable(job: Job) -> None:
    """Refuse what no shard can know the end of.

    Raises:
        UsageError: The job counts calls, minutes or cells over all rows.
    """
    fix = "leave it out: a shard cannot know what the others have"
    for key, value in (("budget.calls", job.budget.calls), ("budget.minutes", job.budget.minutes)):
        if value is not None:
            raise UsageError("cannot be kept by shards", fix=fix, key=key)
    if job.quota is not None:
        raise UsageError("cannot be kept by shards", fix=fix, key="quota")


def remembering(job: Job) -> list[str]:
    """Names of the stages that compare rows with those before, and so with those of one shard."""
    return [stage.name for stage in job.stages if stage.open_state() is not None]
