"""The checksums of chunks: XXH3-64, fast enough to stay out of a disk's way."""

from __future__ import annotations

import xxhash


def checksums(data: memoryview, block: int) -> list[int]:
    """One checksum for each ``block`` bytes of ``data``, the last ones being fewer; 0 is all of it."""
    if not block:
        return [xxhash.xxh3_64_intdigest(data)]
    return [xxhash.xxh3_64_intdigest(data[start : start + block]) for start in range(0, len(data), block)]
