"""The checksums of chunks: XXH3-64, fast enough to stay out of a disk's way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xxhash


def checksums(data: npt.NDArray[np.uint8], block: int) -> list[int]:
    """One checksum for each ``block`` bytes of ``data``, the last ones being fewer; 0 is all of it."""
    view = data.data
    if not block:
        return [xxhash.xxh3_64_intdigest(view)]
    return [xxhash.xxh3_64_intdigest(view[start : start + block]) for start in range(0, len(view), block)]
