"""A choice put into a job: from `{"review.decoding.temperature": 0.7}` to a job that can run.

tuned = Tuned(loaded, space)
tuned.job({"review.decoding.temperature": 0.7}).job.stages[0].decoding.temperature      # 0.7
tuned.data({"review.decoding.temperature": 0.7})                       # what its file says
"""

import copy
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from chains.decoding import Decoding, Sample
from pipelines.files import dump_yaml
from pipelines.job import LoadedJob, build_job
from pipelines.lab.tuning_space import Choice, Domain, Range, Space, Subsets
from pipelines.overrides import apply_override
from pipelines.rows import JSON, digest
from pipelines.stages import Stage
from prompts.errors import TextmillError, UsageError, unknown
from prompts.strict_yaml import Document

EXAMPLES = "examples"
"""Last part of a key whose values are lists of places of a prompt's worked examples."""


class Tuned:
    """A job and the space around it.

    Args:
        loaded: The job, checked.
        space: The space; an empty one is replaced by the usual one for the job.

    Raises:
        UsageError: A key names no stage, or nothing in the job can be searched.
    """

    def __init__(self, loaded: LoadedJob, space: Space) -> None:
        self.loaded = loaded
        domains = space.space or dict(_usual(loaded))
        if not domains:
            fix = "give --space FILE with the keys that may change"
            raise UsageError("no stage of the job samples", fix=fix, file=loaded.document.file)
        self.space = space.model_copy(update={"space": domains})
        self.domains: dict[str, Range | tuple[Any, ...]] = {
            key: self._drawn(key, domain) for key, domain in domains.items()
        }

    def identity(self) -> str:
        """A hash of the job, of the prompts to choose from and of the space."""
        prompts = [
            self.loaded.prompt(str(name), key=key).sha
            for key, domain in self.domains.items()
            if key.endswith(".prompt") and not isinstance(domain, Range)
            for name in domain
        ]
        settings = self.space.model_dump(mode="json", exclude={"trials"})
        return digest(self.loaded.resolved().as_data(), prompts, settings)

    def grid(self) -> Iterator[Choice]:
        """Every choice of a grid, the last key changing fastest."""
        points = [d.points() if isinstance(d, Range) else d for d in self.domains.values()]
        for values in itertools.product(*points):
            yield dict(zip(self.domains, values, strict=True))

    def grid_size(self) -> int:
        """How many choices `grid` gives."""
        sizes = [len(d.points() if isinstance(d, Range) else d) for d in self.domains.values()]
        return math.prod(sizes)

    def data(self, choice: Mapping[str, JSON]) -> dict[str, Any]:
        """The job's own plain data with a choice put in, and nothing else changed."""
        data: dict[str, Any] = copy.deepcopy(self.loaded.document.mapping("a job"))
        prompts = {key: value for key, value in choice.items() if key.endswith(".prompt")}
        for key, value in {**prompts, **choice}.items():  # examples are those of the new prompt
            self._put(data, key, value)
        return data

    def job(self, choice: Mapping[str, JSON]) -> LoadedJob:
        """The job with a choice put in, checked.

        Raises:
            UsageError: The choice does not fit the job.
        """
        loaded = self.loaded
        data = self.data(choice)
        document = Document(loaded.document.file, dump_yaml(data), data, {}, {})
        try:
            job = build_job(data)
            changed = LoadedJob(job, document, loaded.folder)
            changed.check()
        except TextmillError as exc:
            exc.file, exc.line = loaded.document.file, None
            shown = ", ".join(f"{key}={value}" for key, value in choice.items())
            exc.problem = f"with {shown}: {exc.problem}"
            raise
        return changed

    def stage_of(self, key: str) -> tuple[int, Stage, list[str]]:
        """Place and stage that a key names, and the rest of the key.

        Raises:
            UsageError: It names none.
        """
        stages = self.loaded.job.stages
        for place, stage in enumerate(stages):
            if key.startswith(f"{stage.name}."):
                return place, stage, key[len(stage.name) + 1 :].split(".")
        names = [stage.name for stage in stages]
        raise unknown("stage", key.partition(".")[0], [*names, "models"], key=f"space.{key}")

    def _drawn(self, key: str, domain: Domain) -> Range | tuple[Any, ...]:
        """The domain with draws of examples made into lists of places."""
        if not key.startswith("models."):
            self.stage_of(key)
        if not isinstance(domain, Subsets):
            return domain
        if not key.endswith(f".{EXAMPLES}"):
            fix = f"write STAGE.{EXAMPLES}, or {{low: ..., high: ...}}"
            raise UsageError("'choose' draws worked examples", fix=fix, key=f"space.{key}")
        _, stage, _ = self.stage_of(key)
        have = len(self.loaded.prompt(getattr(stage, "prompt", ""), key=key).examples)
        if domain.choose > have:
            problem = f"the prompt has {have} examples, not {domain.choose}"
            raise UsageError(problem, fix="choose fewer", key=f"space.{key}")
        source = random.Random(digest(self.space.seed, key))
        draws = [sorted(source.sample(range(have), domain.choose)) for _ in range(domain.draws)]
        return tuple([list(draw) for draw in dict.fromkeys(map(tuple, draws))])

    def _put(self, data: dict[str, Any], key: str, value: JSON) -> None:
        if key.startswith("models."):
            apply_override(data, f"{key}={dump_yaml({'v': value})[2:].strip()}")
            return
        place, stage, parts = self.stage_of(key)
        current = data["stages"][place]
        if parts == [EXAMPLES]:
            self._put_examples(data, current, stage, value)
            return
        resolved: Any = stage
        for part in parts[:-1]:
            resolved = getattr(resolved, part, None)
            if current.get(part) is None:
                kept = {"strategy": resolved.key()["strategy"]}
                current[part] = kept if isinstance(resolved, Decoding) else {}
            current = current[part]
        current[parts[-1]] = value

    def _put_examples(
        self, data: dict[str, Any], settings: dict[str, Any], stage: Stage, places: JSON
    ) -> None:
        """Give the stage a prompt of the job's own with some of the worked examples."""
        name = str(settings.get("prompt") or getattr(stage, "prompt", ""))
        prompt = self.loaded.prompt(name, key="prompt")
        written = yaml.safe_load(prompt.source)
        written[EXAMPLES] = [written[EXAMPLES][place] for place in places]
        own = f"{stage.name}-examples-{'-'.join(map(str, places)) or 'none'}"
        data.setdefault("prompts", {})[own] = dump_yaml(written)
        settings["prompt"] = own


def _usual(loaded: LoadedJob) -> Iterator[tuple[str, Domain]]:
    """Temperature and nucleus of every stage that samples."""
    for stage in loaded.job.stages:
        if isinstance(getattr(stage, "decoding", None), Sample):
            yield f"{stage.name}.decoding.temperature", Range(low=0.2, high=1.4)
            yield f"{stage.name}.decoding.top_p", Range(low=0.5, high=1.0)
