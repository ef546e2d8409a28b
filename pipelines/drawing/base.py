"""A distribution takes a share of the whole, 0 to 1, to the value there."""

from pydantic import BaseModel, ConfigDict

from pipelines.drawing.weights import Value
from prompts.registry import Registry


class Distribution(BaseModel):
    """What values are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draw: str

    def at(self, share: float, place: int) -> Value:
        """The quantile at `share`, 0 to 1 with 1 excluded, for the row with number `place`."""
        raise NotImplementedError

    def support(self) -> list[tuple[Value, float]] | None:
        """All values with their probabilities; None where they are too many to list."""
        return None

    def whole_bounds(self) -> tuple[int, int] | None:
        """The least and the greatest value; None without them, or where some is no whole number."""
        return None


DISTRIBUTIONS: Registry[Distribution] = Registry("distribution", tag="draw")
