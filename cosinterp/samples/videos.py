"""Videos that some pipelines take besides: checked when a dataset is read, decoded when they are needed.

They are called as the pipelines call them: ``pose_video`` and ``face_video`` drive a character (Wan Animate),
``control_video`` is what is to be followed (Wan VACE).
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SampleError

VIDEO_NAMES = ("pose_video", "face_video", "control_video")

Frames = NDArray[np.uint8]
"""(frame, row, col, rgb)"""


@dataclass(frozen=True)
class VideoFile:
    """A video on the disk, of any kind that ffmpeg reads, known to be whole.

    ``size`` is (width, height) in pixels; ``stamp`` its size in bytes and the time of its last change, in ns.
    """

    path: Path
    size: tuple[int, int]
    num_frames: int
    stamp: tuple[int, int]

    @classmethod
    def check(cls, path: Path) -> VideoFile:
        """The video file ``path``, decoded to its end without keeping what it holds.

        Raises:
            SampleError: there is no such file, it is no video, or it is cut off or damaged.
        """
        stamp = _stamp(path)
        sizes = [size for size, _ in _decoded(path)]
        if not sizes:
            raise SampleError(f"{path}: cannot be read as a video")
        _check_whole(path)
        return cls(path, sizes[0], len(sizes), stamp)

    def read(self, num_frames: int) -> Frames:
        """The first so many frames.

        Raises:
            SampleError: there are fewer, or the file is another than the one that was checked.
        """
        if _stamp(self.path) != self.stamp:
            raise SampleError(f"{self.path}: has changed since the dataset was read; start again")
        if num_frames > self.num_frames:
            raise SampleError(f"{self.path}: has {self.num_frames} frames, and {num_frames} are needed")
        frames = np.empty((num_frames, self.size[1], self.size[0], 3), np.uint8)
        with closing(_decoded(self.path)) as decoded:
            for frame, (_, pixels) in zip(frames, decoded, strict=False):
                frame[:] = pixels
        return frames

    def sha256(self) -> str:
        """Of the file."""
        with self.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """A video in memory: uint8 (frame, row, col, rgb)."""

    frames: Frames

    @property
    def num_frames(self) -> int:
        """How many there are."""
        return len(self.frames)

    def read(self, num_frames: int) -> Frames:
        """The first so many frames.

        Raises:
            SampleError: there are fewer.
        """
        if num_frames > self.num_frames:
            raise SampleError(f"a video has {self.num_frames} frames, and {num_frames} are needed")
        return self.frames[:num_frames]

    def sha256(self) -> str:
        """Of the shape and the pixels."""
        return sha256(str(self.frames.shape).encode() + self.frames.tobytes()).hexdigest()


Video = VideoFile | VideoFrames


def _decoded(path: Path) -> Generator[tuple[tuple[int, int], Frames], None, None]:
    """(width, height) and pixels (row, col, rgb) of each frame."""
    from imageio_ffmpeg import read_frames

    reading = read_frames(path)
    with closing(reading):
        try:
            told: dict[str, Any] = next(reading)
        except (OSError, StopIteration) as error:
            raise SampleError(f"{path}: cannot be read as a video") from error
        width, height = told["size"]
        for pixels in reading:
            yield (width, height), np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _check_whole(path: Path) -> None:
    """Refuse a video that ffmpeg decodes with errors: of one that is cut off it gives what is there."""
    from imageio_ffmpeg import get_ffmpeg_exe

    decoding = [get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", str(path)]
    ended = subprocess.run([*decoding, "-map", "0:v:0", "-f", "null", "-"], capture_output=True, check=False)
    told = ended.stderr.decode(errors="replace").strip().splitlines()
    if told or ended.returncode or _is_cut_riff(path):
        reason = f" (ffmpeg: {told[-1]})" if told else ""
        raise SampleError(f"{path}: is cut off or damaged{reason}; copy or write it again")


def _is_cut_riff(path: Path) -> bool:
    """Whether an AVI is shorter than its head says, which ffmpeg passes over."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[:4] == b"RIFF" and 8 + int.from_bytes(head[4:], "little") > path.stat().st_size


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such video") from error
    return status.st_size, status.st_mtime_ns
