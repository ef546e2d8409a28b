"""The pool of Self-Instruct: seed instructions and what was made of them, and what is too near.

pool.drawn(source, 6, 2)                 # six seeds and two of earlier blocks, in a drawn order
pool.enter("9f2c", "Name three rivers.")
->  None, or Fault("near_duplicate", {"twin": "seed 4", "similarity": 0.8571})
"""

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault
from pipelines.stages.dedup.rouge import Rouge


class Instruction(NamedTuple):
    """An instruction of the pool, by the id of its row or its number among the seeds."""

    id: str
    text: str


class InstructionPool:
    """Seeds, and the instructions that a run has made.

    What is made is compared with everything made before, in the same block too; it is shown as an
    example only in later blocks.

    Args:
        threshold: ROUGE-L from which on two instructions are too near, above 0 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self._index = Rouge(threshold)
        self._entered: list[Instruction] = []
        self._restored: list[Instruction] = []
        self._fresh: list[Instruction] = []
        self._made: list[Instruction] = []
        self._seeds: list[Instruction] | None = None

    @property
    def opened(self) -> bool:
        """Whether the seeds are in."""
        return self._seeds is not None

    def open(self, seeds: Iterable[Instruction]) -> None:
        """Enter the seeds, then what an interrupted run had made."""
        self._seeds = list(seeds)
        for instruction in (*self._seeds, *self._restored):
            self._add(instruction)
        self._made += self._restored
        self._restored = []

    def drawn(self, source: random.Random, seeds: int, made: int) -> list[Instruction]:
        """So many seeds and made ones in a drawn order; seeds fill up what was not made yet."""
        known = self._seeds or []
        newer = source.sample(self._made, min(made, len(self._made)))
        wanted = min(seeds + made - len(newer), len(known))
        chosen = [*source.sample(known, wanted), *newer]
        source.shuffle(chosen)
        return chosen

    def enter(self, identity: str, text: str) -> Fault | None:
        """Take an instruction into the pool, or say which one it is too near to."""
        batch = self._index.read([normalised(text)])
        [near] = self._index.known(batch)
        for number in near.tolist():
            evidence = self._index.evidence(batch, 0, number)
            if evidence is not None:
                return Fault("near_duplicate", {"twin": self._entered[number].id, **evidence})
        instruction = Instruction(identity, text)
        self._add(instruction)
        self._fresh.append(instruction)
        return None

    def additions(self) -> list[JSON]:
        """What was made since the last call, as [id, text]; from now on it is drawn from."""
        fresh, self._fresh = self._fresh, []
        self._made += fresh
        return [list(instruction) for instruction in fresh]

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave, in order."""
        self._restored += [Instruction(*item) for item in additions]

    def _add(self, instruction: Instruction) -> None:
        self._index.add(self._index.read([normalised(instruction.text)]), [0])
        self._entered.append(instruction)


def keyword_fault(text: str, keywords: Sequence[str]) -> Fault | None:
    """`keyword` where a word or phrase of the list stands in the text, as whole words."""
    padded = f" {' '.join(''.join(c if c.isalnum() else ' ' for c in text.casefold()).split())} "
    found = next((word for word in keywords if f" {word.casefold()} " in padded), None)
    return None if found is None else Fault("keyword", {"found": found})
