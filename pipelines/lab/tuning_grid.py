"""A sampler that draws nothing: the point of a grid that it was made with.

study.sampler = Point({"review.decoding.temperature": 0.5, "review.prompt": '"review/write"'})
study.ask(distributions).params        # these values
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class Point(BaseSampler):
    """Gives every parameter the value it has at one point.

    Args:
        values: Parameter -> value; of a categorical one, its choice.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """No parameters are drawn together."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing, as none are."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The parameter's value at the point."""
        return self._values[param_name]
