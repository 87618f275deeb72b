"""What tells one sample from another: the hashes that a run keeps of what it does not keep whole."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from cosinterp.samples.sample import Sample


def image_sha256(sample: Sample) -> str | None:
    """Of the first image as RGB; None without one."""
    if sample.image is None:
        return None
    pixels = np.asarray(sample.image.convert("RGB"), dtype=np.uint8)
    return sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def videos_sha256(sample: Sample) -> dict[str, str]:
    """Of the videos that a pipeline takes besides, by name."""
    return {name: video.sha256() for name, video in sample.videos.items()}
