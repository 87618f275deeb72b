"""Samples: what is generated from.

One sample comes from flags (`sample_from_flags`), many from a dataset (`load_dataset`): a folder in the
layout of VBVR-Bench, or a table in JSONL or CSV. Each layout has a reader in a module of its own.
"""

from cosinterp.samples.datasets import load_dataset, sample_names
from cosinterp.samples.flags import sample_from_flags
from cosinterp.samples.folders import IMAGE_FILE, METADATA_FILE, PROMPT_FILE
from cosinterp.samples.images import ImageFile, read_image
from cosinterp.samples.place import Place
from cosinterp.samples.sample import Sample, Truth
from cosinterp.samples.videos import VIDEO_NAMES, VideoFile, VideoFrames

__all__ = [
    "IMAGE_FILE",
    "METADATA_FILE",
    "PROMPT_FILE",
    "VIDEO_NAMES",
    "ImageFile",
    "Place",
    "Sample",
    "Truth",
    "VideoFile",
    "VideoFrames",
    "load_dataset",
    "read_image",
    "sample_from_flags",
    "sample_names",
]
