"""Beam search whose continuations are drawn: like beam search, but not the same reply every time.

num_beams 2, after the beams "A" and "The": of all continuations of both, four are drawn without
replacement with probability p(beam) p(token | beam) ** (1 / temperature); the best two of these
four run on.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from chains.decoding.base import STRATEGIES
from chains.decoding.beam import Beams

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


@STRATEGIES.register
class BeamSample(Beams):
    """Beam search by sampling, `generate(num_beams=..., do_sample=True)` of transformers.

    Log-probabilities after penalties are divided by the temperature and truncated by top_k and
    top_p, and summed up to a beam's score. Candidates are drawn without replacement from the
    softmax of these sums over all continuations of a request's beams: the highest sums of score and
    Gumbel noise (Vieira 2014; Kool et al. 2019), whose noise is that of the beam's place, the step
    and the token. The best of those drawn that do not end run on; one that ends is a hypothesis if
    it is among the first num_beams drawn.

    Attributes:
        temperature: Divides the log-probabilities; below 1 sharpens. top_k: Keep the k most
        probable tokens of a beam; 0 keeps all. top_p: Keep the smallest head with this mass.
    """

    strategy: Literal["beam_sample"] = "beam_sample"
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0

    deterministic: ClassVar[bool] = False

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Beam search by sampling."""
        from chains.decoding.beam_sample_search import BeamSampleSearch

        return BeamSampleSearch(self, vocabulary)
