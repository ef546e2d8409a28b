"""Carrying out the plans of composite strategies: all calls advance together, round by round.

    plans = Plans(calls)                     # of any strategies
    while plans.running:
        plans.advance(ask)                   # what all of them want next is one batch

`ask` answers calls by the models' names: a pipeline goes through its ledger, a model alone answers
what is asked of it by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from chains.calls import Call, Plan, Reply, Wanted
from prompts.errors import UsageError

Ask = Callable[[Wanted], list[list[Reply]]]
"""Answers calls to named models: one list of replies for each."""

Finished = list[tuple[int, list[Reply]]]
Answer = Callable[[Sequence[Call]], Iterator[Finished]]
"""As in `chains.calls.Model`."""


class Plans:
    """Calls of any strategies on their way together; one that is not composite is its own plan.

    Attributes:
        composite: Whether any of the calls is answered by others.
        replies: Of the calls that are complete, by their index.

    Args:
        calls: In any order.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        found = [call.decoding.plan(call) for call in calls]
        self.composite = any(plan is not None for plan in found)
        self.replies: dict[int, list[Reply]] = {}
        self._plans = [plan or _alone(call) for plan, call in zip(found, calls, strict=True)]
        self._wanted: dict[int, Wanted] = {}
        for index in range(len(calls)):
            self._send(index, None)

    @property
    def running(self) -> bool:
        """Whether any call has no replies yet."""
        return bool(self._wanted)

    def advance(self, ask: Ask) -> Finished:
        """Answer what is wanted now, all of it together; what calls are complete by that."""
        wanted, self._wanted = self._wanted, {}
        answers = iter(ask([entry for part in wanted.values() for entry in part]))
        for index, part in wanted.items():
            self._send(index, [next(answers) for _ in part])
        return [(index, self.replies[index]) for index in wanted if index in self.replies]

    def _send(self, index: int, answers: list[list[Reply]] | None) -> None:
        plan = self._plans[index]
        try:
            self._wanted[index] = next(plan) if answers is None else plan.send(answers)
        except StopIteration as stop:
            self.replies[index] = stop.value


def _alone(call: Call) -> Plan:
    [replies] = yield [("", call)]
    return replies


def carry_out(plan: Plan, ask: Ask) -> list[Reply]:
    """Carry out one plan from its beginning to its replies."""
    try:
        wanted = next(plan)
        while True:
            wanted = plan.send(ask(wanted))
    except StopIteration as stop:
        replies: list[Reply] = stop.value
        return replies


def answer_by_one(plans: Plans, answer: Answer) -> Iterator[Finished]:
    """Carry out plans by one model alone.

    Args:
        plans: Just begun.
        answer: Of the model, for calls that are not composite.

    Raises:
        UsageError: A plan asks for a model by name.
    """
    while plans.running:
        yield plans.advance(by_names({"": answer}))


def by_names(models: Mapping[str, Answer]) -> Ask:
    """Answers calls by the models of these names, the calls of each together.

    Raises:
        UsageError: When asked for another name.
    """

    def ask(wanted: Wanted) -> list[list[Reply]]:
        found: list[list[Reply]] = [[] for _ in wanted]
        for name in dict.fromkeys(name for name, _ in wanted):
            if name not in models:
                fix = "leave it out, or use the strategy in a job, where models have names"
                raise UsageError(f"no model '{name}' is at hand", fix=fix, key="decoding")
            places = [place for place, (asked, _) in enumerate(wanted) if asked == name]
            for finished in models[name]([wanted[place][1] for place in places]):
                for at, replies in finished:
                    found[places[at]] = replies
        return found

    return ask
