"""The algorithm behind `chains.decoding.beam_sample`: a lattice whose candidates are drawn."""

from typing import ClassVar

import torch

from chains.decoding.beam_sample import BeamSample
from chains.decoding.beam_search import BeamSearch
from chains.decoding.best import best_tokens, kept_tokens
from chains.decoding.branch_search import Options
from chains.decoding.truncation import Truncation


class BeamSampleSearch(BeamSearch):
    """Beam search by sampling of all requests of a batch with these settings."""

    settings: BeamSample
    by_score: ClassVar[bool] = False

    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> list[Options]:
        """The tokens of each row that come first with Gumbel noise."""
        rules = Truncation(top_k=self.settings.top_k, top_p=self.settings.top_p)
        scores = self.restricted(logprobs.clone()) / self.settings.temperature
        noise = self.noise(scores.device)
        if rules.keeps_all:
            keys, tokens = best_tokens(scores + noise.gumbel_all(scores.shape[-1]), self.keep)
        else:
            best = scores.amax(-1, keepdim=True)
            shifted = scores - best.masked_fill(best == -torch.inf, 0)
            ids, chances = kept_tokens(shifted, rules)
            noisy = scores.gather(-1, ids) + noise.gumbel(ids)
            keys, places = best_tokens(noisy.masked_fill(chances == 0, -torch.inf), self.keep)
            tokens = ids.gather(-1, places)
        drawn = (tokens, keys, scores.gather(-1, tokens), logprobs.gather(-1, tokens))
        return [Options(*row) for row in zip(*(part.tolist() for part in drawn), strict=True)]
