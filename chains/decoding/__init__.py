"""Decoding strategies: one file each, listed here; settings classes import no torch."""

from chains.decoding.base import STRATEGIES, AnyDecoding, Decoding
from chains.decoding.beam import Beam
from chains.decoding.greedy import Greedy
from chains.decoding.sample import Sample

__all__ = ["STRATEGIES", "AnyDecoding", "Beam", "Decoding", "Greedy", "Sample"]
