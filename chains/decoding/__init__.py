"""Decoding strategies: one file each, listed here; settings classes import no torch."""

from chains.decoding.arithmetic import Arithmetic
from chains.decoding.base import STRATEGIES, AnyDecoding, Decoding
from chains.decoding.beam import Beam
from chains.decoding.beam_sample import BeamSample
from chains.decoding.best_of_n import BestOfN
from chains.decoding.contrastive import Contrastive
from chains.decoding.diverse_beam import DiverseBeam
from chains.decoding.greedy import Greedy
from chains.decoding.mbr import MinimumBayesRisk
from chains.decoding.noisy_channel import NoisyChannel
from chains.decoding.sample import Sample
from chains.decoding.score import Score
from chains.decoding.stochastic_beam import StochasticBeam

__all__ = [
    "STRATEGIES",
    "AnyDecoding",
    "Arithmetic",
    "Beam",
    "BeamSample",
    "BestOfN",
    "Contrastive",
    "Decoding",
    "DiverseBeam",
    "Greedy",
    "MinimumBayesRisk",
    "NoisyChannel",
    "Sample",
    "Score",
    "StochasticBeam",
]
