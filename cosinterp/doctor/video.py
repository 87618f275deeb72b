"""The program that videos are read and written with."""

from __future__ import annotations

from collections.abc import Iterator

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking


def ffmpeg(_: Circumstances) -> Iterator[Finding]:
    """The ffmpeg that imageio uses: its own, or the one that IMAGEIO_FFMPEG_EXE names."""
    import imageio_ffmpeg

    try:
        version = imageio_ffmpeg.get_ffmpeg_version()
    except (RuntimeError, OSError) as error:
        yield is_lacking(
            "ffmpeg",
            f"not found: {error}",
            "No videos can be read or written: decode, export-videos, samples that are videos.",
            "pip install imageio-ffmpeg, which brings one, or set IMAGEIO_FFMPEG_EXE to yours.",
        )
        return
    yield is_fine("ffmpeg", version, "Videos can be read and written.")
