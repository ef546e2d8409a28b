"""What can be wrong with a text, one file a check; the stage `heuristics` puts them together."""

from pipelines.stages.heuristics.base import Check, Text
from pipelines.stages.heuristics.stage import CHECKS, Heuristics

__all__ = ["CHECKS", "Check", "Heuristics", "Text"]
