"""Pictures and videos as files: there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from imageio_ffmpeg import write_frames
from numpy.typing import NDArray

from cosinterp.errors import UserError

Frames = NDArray[np.uint8]
"""(frame, row, col, rgb)"""

HALF_COLOUR, FULL_COLOUR = "yuv420p", "yuv444p"


def write_video(
    frames: Frames, path: Path, frame_rate: float, *, crf: int = 16, pixel_format: str = HALF_COLOUR
) -> None:
    """Write a video as H.264, in the place of one that is there.

    Arguments are those of `encode_video`.

    Raises:
        UserError: it did not become a whole file, as on a full disk.
    """

    def write(partial: Path) -> None:
        encode_video(frames, partial, frame_rate, crf=crf, pixel_format=pixel_format)

    replace(path, write)


def encode_video(
    frames: Frames, path: Path, frame_rate: float, *, crf: int, pixel_format: str = HALF_COLOUR
) -> None:
    """Write a video as H.264 into a file of any name.

    Args:
        frames: uint8 (frame, row, col, rgb). With ``yuv420p`` an odd side gains one row or column, a copy of
            its last.
        path: what it is written to, at once.
        frame_rate: frames a second.
        crf: x264's constant rate factor, 0 to 51: the lower, the truer and larger.
        pixel_format: ``yuv420p``, which every player shows and which keeps colour at half the resolution of
            light, or ``yuv444p``, which keeps all of it.

    Raises:
        OSError: it did not become a whole file, as on a full disk.
    """
    if pixel_format == HALF_COLOUR:
        odd = [(0, side % 2) for side in frames.shape[1:3]]
        frames = np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")
    height, width = frames.shape[1:3]
    encoding: dict[str, Any] = {
        "fps": frame_rate,
        "codec": "libx264",
        "pix_fmt_out": pixel_format,
        "quality": None,
        "macro_block_size": 1,
        # The format has to be named, as the suffix need not tell it.
        "output_params": ["-crf", str(crf), "-preset", "veryfast", "-f", "mp4"],
        # Its errors would come without the path; they are found below.
        "ffmpeg_log_level": "fatal",
    }
    sending = write_frames(path, (width, height), **encoding)
    with closing(sending):
        sending.send(None)
        for frame in frames:
            sending.send(np.ascontiguousarray(frame))
    # Nobody looks at how ffmpeg ended.
    if not _is_whole_mp4(path):
        raise OSError("the video is cut off; is there space on the disk?")


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Make the file ``path`` with ``write``, which is given another name beside it to write to.

    That name has another suffix, so that nobody who looks for files of this kind takes what a killed process
    leaves behind for one.

    Raises:
        UserError: the disk refuses, and the system does not say which file it is.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.filename is not None:
            raise
        # A full disk is noticed while writing, where the system does not say which file it is.
        reason = error.strerror or str(error).strip().splitlines()[0]
        raise UserError(f"{path}: cannot be written: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)


def _is_whole_mp4(path: Path) -> bool:
    """Whether a file's boxes (ISO/IEC 14496-12, section 4.2) fill it exactly and its index is among them."""
    left, names = path.stat().st_size, set()
    with path.open("rb") as file:
        while left > 0:
            head = file.read(16)
            if len(head) < 8:
                return False
            size, name = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:
                size = int.from_bytes(head[8:], "big")
            names.add(name)
            left -= size
            if size < 8 or left < 0:
                return False
            file.seek(-left, os.SEEK_END)
    return b"moov" in names
