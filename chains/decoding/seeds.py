"""Seeds of the replies of a call: `reply_seed(812, 0)` is 812, `reply_seed(812, 1)` another."""

import hashlib

SEED_BITS = 53


def reply_seed(seed: int, reply: int) -> int:
    """The seed of the reply numbered `reply` (from 0) of a call; 0 to 2**53 - 1."""
    if reply == 0:
        return seed
    text = f"reply {reply} of {seed}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> (64 - SEED_BITS)
