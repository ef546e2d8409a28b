"""What values are drawn from: weights and distributions, of columns and of lengths.

DISTRIBUTIONS.build({"draw": "uniform", "min": 1, "max": 6}).at(0.5, 0)    # 4

A draw takes a share of the whole, 0 to 1, to the value there, so that one number decides it.
"""

from pipelines.drawing import numbers, values
from pipelines.drawing.base import DISTRIBUTIONS, Distribution

__all__ = ["DISTRIBUTIONS", "Distribution", "numbers", "values"]
