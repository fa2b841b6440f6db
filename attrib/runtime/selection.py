"""Selection of a share of named things by a hash of their names."""

from __future__ import annotations

import hashlib


def is_selected(name: str, share: float) -> bool:
    """Tell whether the name is in the share, from none (0) to all (1); it depends on nothing but the name.

    A larger share holds every name of a smaller one.
    """
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
