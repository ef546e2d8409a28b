"""Counter-based noise: a token's draw depends on the row's seed, its place and its id alone.

    noise = Noise(seeds=torch.tensor([7, 8]), steps=torch.tensor([0, 3]))
    noise.gumbel(torch.tensor([[11, 415], [11, 9]]))     # float32 [2, 2]
    noise.gumbel_all(49152)                              # float32 [2, 49152], the same numbers
    noise.uniform()                                      # float64 [2], one number a row

The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
2011): a keyed bijection of a 128-bit counter. Key: the row's seed. Counter: token id // 4, index
of the generated token, 0, 0; the four words that come out are those of four neighbouring ids. A
row's uniform number has the counter 0, index, 1, 0.
argmax of score + Gumbel noise draws a token with the probability softmax(score) (Gumbel 1954;
Maddison et al. 2014).
"""

from dataclasses import dataclass

import torch

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Words = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def philox(counter: Words, key: tuple[torch.Tensor, torch.Tensor]) -> Words:
    """Philox4x32-10 of int64 tensors that hold 32-bit words; all broadcast together."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


def _multiply(factor: int, word: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low 32 bits of a product; int64 wraps around, and the shift's sign bits are cut."""
    product = word * factor
    return (product >> 32) & _LOW, product & _LOW


@dataclass(frozen=True)
class Noise:
    """The noise of one step.

    Attributes:
        seeds: One a row, 0 to 2**53 - 1, int64 [rows].
        steps: Index of the token that each row is about to draw, int64 [rows].
    """

    seeds: torch.Tensor
    steps: torch.Tensor

    def uniform(self) -> torch.Tensor:
        """One number a row, evenly from 0 to 1, neither of them; float64 [rows].

        A multiple of 2**-52 and a half; its counter is one that no token's noise has.
        """
        one = torch.ones_like(self.steps)
        zero = torch.zeros_like(one)
        key = (self.seeds & _LOW, (self.seeds >> 32) & _LOW)
        high, low, _, _ = philox((zero, self.steps, one, zero), key)
        return ((((high >> 6) << 26) | (low >> 6)).double() + 0.5) * 2.0**-52

    def gumbel(self, tokens: torch.Tensor) -> torch.Tensor:
        """Standard Gumbel noise of those token ids; int64 [rows, k] gives float32 [rows, k]."""
        words = torch.stack(self._words(tokens >> 2), dim=-1)
        return _to_gumbel(words.gather(-1, (tokens & 3).unsqueeze(-1)).squeeze(-1))

    def gumbel_all(self, vocabulary: int) -> torch.Tensor:
        """Standard Gumbel noise of the ids 0 to vocabulary - 1, float32 [rows, vocabulary]."""
        blocks = torch.arange(-(-vocabulary // 4), device=self.seeds.device)[None]
        words = torch.stack(self._words(blocks), dim=-1)
        return _to_gumbel(words.flatten(1)[:, :vocabulary])

    def _words(self, blocks: torch.Tensor) -> Words:
        steps, seeds = self.steps[:, None], self.seeds[:, None]
        zero = torch.zeros_like(blocks)
        key = (seeds & _LOW, (seeds >> 32) & _LOW)
        return philox((blocks, steps + zero, zero, zero), key)


def _to_gumbel(words: torch.Tensor) -> torch.Tensor:
    # Rounded from float64, so that the last bit of a logarithm, which may differ between the vector
    # and the scalar code of a library, cannot reach the result.
    uniform = (words.double() + 0.5) * 2.0**-32
    return -torch.log(-torch.log(uniform)).float()
