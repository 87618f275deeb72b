"""Clean estimates of runs as pictures: what has been decoded, read from disk. It may block."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosinterp.media_places import FOLDER, media_folder, step_of
from stores import open_store
from stores.errors import StoreError
from tui.browser.reading import smaller
from tui.browser.rows import Row
from tui.frames.overlays import Kind, Recorded, recorded

Video = NDArray[np.uint8]
"""(frame, row, col, rgb)"""

MOST_FRAMES = 16
"""Frames that are kept of a video, evenly spaced."""


@dataclass(frozen=True)
class Film:
    """What there is of a run's pictures.

    Attributes:
        row: the run.
        sigmas: noise levels, (step,).
        files: the decoded clean estimate of each step that has one.
        has_final: the store holds the final video.
        recorded: what can be shown beside the pictures, and of which site.
    """

    row: Row
    sigmas: tuple[float, ...]
    files: dict[int, Path]
    has_final: bool
    recorded: dict[Kind, Recorded]

    @property
    def num_steps(self) -> int:
        """Denoising steps of the run."""
        return len(self.sigmas)

    @property
    def command(self) -> str:
        """What decodes the clean estimates of this run, to be typed into a shell."""
        return shlex.join(["cosinterp", *decode_words([self.row])])


@dataclass(frozen=True)
class Shot:
    """Pictures of one step, or of the end.

    Attributes:
        step: None: the final video.
        video: (frame, row, col, rgb), some frames of a video, made smaller.
        frames: the numbers of these frames.
        num_frames: how many the video has.
    """

    step: int | None
    video: Video
    frames: tuple[int, ...]
    num_frames: int


def decode_words(rows: Sequence[Row]) -> list[str]:
    """What decodes the clean estimates of runs that differ in their seed alone, after ``cosinterp``."""
    first = rows[0]
    seeds = ",".join(str(row.seed) for row in rows)
    words = ["decode", str(first.store), "--sample", first.sample, "--seed", seeds]
    return words if first.variant == "base" else [*words, "--variant", first.variant]


def read_film(row: Row) -> Film:
    """What there is of a run's pictures.

    Raises:
        UserError: its file cannot be read.
    """
    folder = media_folder(row.store / FOLDER, row.sample, row.seed, row.variant)
    with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
        sigmas = tuple(run.schedule.sigma[:-1].tolist())
        files = {step: path for step, path in _decoded(folder) if step < len(sigmas)}
        return Film(row, sigmas, files, run.has_video, recorded(run))


def shots(
    film: Film, known: Collection[int | None], overtaken: Callable[[], bool]
) -> Iterator[Shot | StoreError]:
    """The pictures of each decoded step, in order, and then the final video; errors in the place of a step.

    Steps that are ``known`` are passed over; None among them is the final video.

    Ends early once ``overtaken`` says so. Raises UserError: the run's file cannot be read.
    """
    for step, path in sorted(film.files.items()):
        if overtaken():
            return
        if step in known:
            continue
        try:
            yield _shot(step, _frames_of(path))
        except StoreError as error:
            yield error
    if film.has_final and None not in known and not overtaken():
        row = film.row
        with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
            video = run.video
        if video is not None:
            yield _shot(None, list(video))


def latent_frame(frame: int, num_frames: int, latent_frames: int) -> int:
    """The latent frame that a frame of the video comes from: the first from the first, and then in groups.

    >>> [latent_frame(frame, 9, 3) for frame in range(9)]
    [0, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    if num_frames < 2 or latent_frames < 2:
        return 0
    return min(latent_frames - 1, -(-frame * (latent_frames - 1) // (num_frames - 1)))


def _decoded(folder: Path) -> Iterator[tuple[int, Path]]:
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    for path in found:
        if (step := step_of(path)) is not None:
            yield step, path


def _frames_of(path: Path) -> list[Video]:
    """All frames (row, col, rgb) of a video, made smaller.

    Raises:
        StoreError: it is no video, or damaged.
    """
    from imageio_ffmpeg import read_frames

    with closing(read_frames(path)) as reading:
        try:
            told: dict[str, Any] = next(reading)
            width, height = told["size"]
            frames = [np.frombuffer(pixels, np.uint8).reshape(height, width, 3) for pixels in reading]
        except (OSError, RuntimeError, StopIteration) as error:
            raise StoreError(f"{path}: cannot be read as a video; decode the run again") from error
    if not frames:
        raise StoreError(f"{path}: holds no frame; decode the run again")
    return frames


def _shot(step: int | None, frames: list[Video]) -> Shot:
    spaced = np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames)))
    kept = sorted(set(spaced.round().astype(int).tolist()))
    return Shot(step, np.stack([smaller(frames[index]) for index in kept]), tuple(kept), len(frames))
