"""Whether a server does what it is told: some ignore settings and answer all the same.

    Probe(spec, ask).check(calls)    # a few short calls, once for each setting that the calls use

What a setting changes is compared with a reply without it. A server that shows nothing either way,
since its reply is too short, say, passes. `tolerate: [stop]` in the job leaves that probe out.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import get_args

from chains.calls import Call, Message, Reply
from chains.decoding import Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.models.spec import ModelSpec, Setting
from prompts.errors import ModelError

ONE_TO_TWENTY = "Count from 1 to 20, separated by spaces."
REPEAT = "Write the word 'yes' thirty times."
NAME = "Tell me a name and an age."
SCHEMA = '{"type":"object","properties":{"probe":{"type":"integer"}},"required":["probe"]}'
TOKENS = 24
WORDS = 4
"""Two draws at a temperature of 2 that agree in so many words were no draws."""

logger = logging.getLogger("textmill.models")


class Probe:
    """What is known of a server.

    Args:
        spec: Of the model.
        ask: Gives the reply to a call.
    """

    def __init__(self, spec: ModelSpec, ask: Callable[[Call], Reply]) -> None:
        self._left: set[Setting] = set(get_args(Setting)) - set(spec.tolerate)
        self._ask = ask

    def check(self, calls: Sequence[Call]) -> None:
        """Try each setting that these calls are the first to use.

        Raises:
            ModelError: The server ignores one.
        """
        for setting in sorted(self._left & _used(calls)):
            self._left.discard(setting)
            if not self._ignores(setting):
                continue
            if setting == "seed":
                logger.warning("the server ignores seeds: other runs will get other replies")
                continue
            raise ModelError(
                f"the server ignores {setting}, which the job uses",
                fix=f"leave it out of the job, use a server that knows it, or write "
                f"'tolerate: [{setting}]' under the model",
            )

    def _ignores(self, setting: Setting) -> bool:
        if setting == "stop":
            return self._ignores_stop()
        if setting == "penalties":
            return self._ignores_penalties()
        if setting == "response_format":
            return self._ignores_form()
        if setting == "temperature":
            return self._ignores_temperature()
        drawn = [self._text(NAME, Sample(max_tokens=TOKENS), seed=11) for _ in range(2)]
        return len(set(drawn)) == 2 and "" not in drawn

    def _ignores_stop(self) -> bool:
        text = self._text(ONE_TO_TWENTY, Greedy(max_tokens=TOKENS))
        middle = text[len(text) // 2 :][:1].strip()
        if not middle:
            return False
        stopped = self._text(ONE_TO_TWENTY, Greedy(max_tokens=TOKENS, stop=(middle,)))
        return middle in stopped and stopped == text

    def _ignores_penalties(self) -> bool:
        text = self._text(REPEAT, Greedy(max_tokens=TOKENS))
        if max(Counter(text.lower().split()).values(), default=0) < 4:
            return False
        strong = Greedy(max_tokens=TOKENS, frequency_penalty=2.0, presence_penalty=2.0)
        return self._text(REPEAT, strong) == text

    def _ignores_temperature(self) -> bool:
        """`transformers serve`, say, is greedy unless the model's own files ask for sampling."""
        hot = Sample(max_tokens=TOKENS, temperature=2.0)
        one, other = (self._text(NAME, hot, seed=seed) for seed in (11, 12))
        return one == other and len(one.split()) >= WORDS

    def _ignores_form(self) -> bool:
        form = GrammarSettings(form="json", source=SCHEMA)
        call = Call((Message("user", NAME),), Greedy(max_tokens=4 * TOKENS), guides=(form,))
        reply = self._ask(call)
        if reply.finish != "stop":
            return reply.finish == "length" and not reply.text.lstrip().startswith("{")
        try:
            return "probe" not in json.loads(reply.text)
        except (ValueError, TypeError, RecursionError):
            return True

    def _text(self, question: str, decoding: Greedy | Sample, seed: int = 0) -> str:
        """A reply's text; empty where the call failed, of which the job's own calls will tell."""
        return self._ask(Call((Message("user", question),), decoding, seed)).text


def _used(calls: Sequence[Call]) -> set[Setting]:
    used: set[Setting] = set()
    for call in calls:
        decoding = call.decoding
        if decoding.stop:
            used.add("stop")
        if decoding.frequency_penalty or decoding.presence_penalty:
            used.add("penalties")
        if not decoding.deterministic:
            used |= {"seed", "temperature"}
        if any(isinstance(g, GrammarSettings) and g.form == "json" for g in call.guides):
            used.add("response_format")
    return used
