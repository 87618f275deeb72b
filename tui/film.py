"""Clean estimates of runs as pictures: what has been decoded, read from disk. It may block."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosinterp.media_places import FOLDER, media_folder, step_of
from stores import Run, open_store
from stores.errors import StoreError
from tui.rows import Row

Video = NDArray[np.uint8]
"""(frame, row, col, rgb)"""

LARGEST = 192
"""Pixels of a side that are kept: a terminal of 200 columns shows no more."""
MOST_FRAMES = 16
"""Frames that are kept of a video, evenly spaced."""
GRID = ("frame", "row", "col")


@dataclass(frozen=True)
class Film:
    """What there is of a run's pictures.

    Attributes:
        row: the run.
        sigmas: noise levels, (step,).
        files: the decoded clean estimate of each step that has one.
        has_final: the store holds the final video.
        energy_site: a key of the run's sites that holds every token, so that there are maps of its energy;
            None: there is none.
        layers, steps: those that it is recorded at.
    """

    row: Row
    sigmas: tuple[float, ...]
    files: dict[int, Path]
    has_final: bool
    energy_site: str | None
    layers: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def num_steps(self) -> int:
        """Denoising steps of the run."""
        return len(self.sigmas)

    @property
    def command(self) -> str:
        """What decodes the clean estimates of this run, to be typed into a shell."""
        row = self.row
        words = ["cosinterp", "decode", str(row.store), "--sample", row.sample, "--seed", str(row.seed)]
        return shlex.join(words if row.variant == "base" else [*words, "--variant", row.variant])


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


@dataclass(frozen=True)
class EnergyMap:
    """The L2 norm of each token of a run at a step and layer: (frame, row, col)."""

    step: int
    layer: int
    values: NDArray[np.float32]


def read_film(row: Row) -> Film:
    """What there is of a run's pictures.

    Raises:
        UserError: its file cannot be read.
    """
    folder = media_folder(row.store / FOLDER, row.sample, row.seed, row.variant)
    with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
        sigmas = tuple(run.schedule.sigma[:-1].tolist())
        site = _energy_site(run)
        info = run.sites[site] if site else None
        files = {step: path for step, path in _decoded(folder) if step < len(sigmas)}
        layers, steps = (info.layers, info.steps) if info else ((), ())
        return Film(row, sigmas, files, run.has_video, site, layers, steps)


def shots(film: Film, overtaken: Callable[[], bool]) -> Iterator[Shot | StoreError]:
    """The pictures of each decoded step, in order, and then the final video; errors in the place of a step.

    Ends early once ``overtaken`` says so. Raises UserError: the run's file cannot be read.
    """
    for step, path in sorted(film.files.items()):
        if overtaken():
            return
        try:
            yield _shot(step, _frames_of(path))
        except StoreError as error:
            yield error
    if film.has_final and not overtaken():
        row = film.row
        with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
            video = run.video
        if video is not None:
            yield _shot(None, list(video))


def read_energy(film: Film, step: int, layer: int) -> EnergyMap:
    """The energy of each token. Raises UserError: it cannot be read."""
    row = film.row
    assert film.energy_site is not None
    with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
        values = run.read(film.energy_site, step, layer)
    return EnergyMap(step, layer, values if values.ndim == len(GRID) else np.linalg.norm(values, axis=-1))


def latent_frame(frame: int, num_frames: int, latent_frames: int) -> int:
    """The latent frame that a frame of the video comes from: the first from the first, and then in groups.

    >>> [latent_frame(frame, 9, 3) for frame in range(9)]
    [0, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    if num_frames < 2 or latent_frames < 2:
        return 0
    return min(latent_frames - 1, -(-frame * (latent_frames - 1) // (num_frames - 1)))


def _energy_site(run: Run) -> str | None:
    """A site of which every token is recorded: the residual stream if that is, and rather just its norms."""
    sites = run.sites
    whole = [key for key in sites if sites[key].axes[:3] == GRID and "component" not in sites[key].axes]
    return min(whole, key=lambda key: (sites[key].site != "resid", len(sites[key].axes)), default=None)


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
    return Shot(step, np.stack([_smaller(frames[index]) for index in kept]), tuple(kept), len(frames))


def _smaller(frame: Video) -> Video:
    """Within `LARGEST` pixels a side, by a whole factor: what was enlarged by one stays sharp."""
    from PIL import Image

    factor = -(-max(frame.shape[:2]) // LARGEST)
    return frame if factor == 1 else np.asarray(Image.fromarray(frame).reduce(factor))
