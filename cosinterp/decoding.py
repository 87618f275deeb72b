"""Clean estimates as pictures and videos: what the model would end with, as each step sees it.

Latents come from the store; only the VAE of the model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cosinterp.errors import ModelError, SelectionError
from cosinterp.media_files import Frames, replace, write_video
from cosinterp.media_places import step_video
from cosinterp.scorers import task_of
from probes.figures import pictures
from probes.figures.pictures import StripRow

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import Run, Store

PICTURE = "steps.png"
ANIMATION = "steps.gif"
SMALL_VIDEO = 384
_BATCH_NUMBERS = 1 << 16
"""Latent numbers that go through the VAE together: a few small videos, one large one."""
_STEP_MS, _LAST_MS = 450, 2000


@dataclass(frozen=True)
class Media:
    """The files of one run: the picture (steps by frames), the animation over steps, a video a step."""

    folder: Path
    picture: Path
    animation: Path
    videos: dict[int, Path]


def model_of(store: Store, name: str | None = None, **load_options: Any) -> Model:
    """The model that made a store, or the one named instead. Only its VAE is loaded: it decodes, no more.

    Raises:
        UserError: it cannot be loaded, its weights are no longer those that made the store, or a pipeline
            made it that was given as an object, whose weights a folder cannot be compared with.
    """
    from cosinterp.models.loading import prepare
    from cosinterp.models.loading.given import MARK

    if name is not None:
        chosen = prepare(name, **load_options).load_decoder()
        _check_channels(chosen, store)
        return chosen
    made_by = store.settings.model
    own = made_by.get("name")
    if not own:
        raise SelectionError(f"{store.path} does not say which model made it; name it with --model.")
    if str(made_by.get("weights_sha256")).startswith(MARK):
        raise ModelError(
            f"{store.path} was made by a pipeline that was given as an object ({own}); "
            "what it is now cannot be compared with that: name a model that has its VAE with --model"
        )
    try:
        loaded = prepare(own, revision=made_by.get("revision"), **load_options).load_decoder()
    except ModelError as error:
        raise ModelError(
            f"{error}\nit made {store.path}; to decode with another one, name it with --model"
        ) from error
    if loaded.weights_sha256 != made_by.get("weights_sha256"):
        raise ModelError(
            f"{own} has changed since it made {store.path}, so its VAE may no longer read the latents; "
            f"to decode with it all the same, say --model {own}"
        )
    return loaded


def _check_channels(model: Model, store: Store) -> None:
    for entry in store.runs()[:1]:
        with store.run(entry.sample, entry.seed, entry.variant) as run:
            stored, taken = run.noisy(0).shape[0], model.anatomy.geometry.latent_channels
            if stored != taken:
                raise ModelError(
                    f"{model.name} cannot decode {store.path}: its latents have {taken} channels, the stored "
                    f"ones {stored}; name a model with the VAE of the one that made them."
                )


def clean_videos(model: Model, run: Run, steps: Sequence[int] | None = None) -> Iterator[tuple[int, Frames]]:
    """Step and decoded clean estimate, uint8 (frame, row, col, rgb), one after another.

    Small videos go through the VAE several at a time, which takes half the time on a CPU.
    """
    wanted = list(range(run.num_steps) if steps is None else steps)
    start = 0
    while start < len(wanted):
        estimates = [run.clean_estimate(wanted[start])]
        together = wanted[start : start + max(1, _BATCH_NUMBERS // estimates[0].size)]
        estimates += [run.clean_estimate(step) for step in together[1:]]
        yield from zip(together, model.decode(np.stack(estimates), _num_frames(run)), strict=True)
        start += len(together)


def final_video(model: Model, run: Run) -> Frames:
    """The video that the run ended with, uint8 (frame, row, col, rgb): the stored one, else decoded."""
    return run.video if run.video is not None else model.decode(run.noisy(run.num_steps), _num_frames(run))


def _num_frames(run: Run) -> int | None:
    return run.attrs.get("sampling", {}).get("num_frames")


def decode_run(
    model: Model,
    run: Run,
    folder: Path | str,
    *,
    title: str | None = None,
    steps: Sequence[int] | None = None,
    videos: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Media:
    """Decode the clean estimate of each step and write picture, animation and videos into `folder`.

    `title` stands above the picture (default: the run). `progress` is called with each step once it is
    written. A few decoded videos are held at a time, of large ones one, beside the frames that the picture
    shows. Files take the place of older ones whole; a failure leaves no half-written file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sigmas = run.schedule.sigma
    rows: list[StripRow] = []
    scenes: list[Frames] = []
    written: dict[int, Path] = {}
    num_frames, frame_rate = 0, 0.0
    for step, video in clean_videos(model, run, steps):
        num_frames, frame_rate = len(video), playing_rate(len(video))
        label = f"step {step} of {run.num_steps - 1}"
        note = f"σ {sigmas[step]:.3f}"
        kept = pictures.choose_frames(num_frames, 8)
        rows.append(StripRow(f"step {step}", note, video[kept]))
        scenes.append(_scene(video, f"{label}   {note}"))
        if videos:
            written[step] = step_video(folder, step)
            write_video(pictures.enlarge(video, SMALL_VIDEO), written[step], frame_rate)
        if progress is not None:
            progress(step)
    if not rows:
        raise SelectionError("no steps to decode were chosen.")

    task = task_of(run.truth)
    picture = pictures.film_strip(
        rows,
        title=title or _title(run),
        caption=[
            f"Prompt: {run.prompt}",
            "Each row is the clean estimate at that step, decoded; σ is its noise level.",
        ],
        final_frame=None if task is None else task.final_frame(run.truth),
        frame_numbers=pictures.choose_frames(num_frames, 8),
    )
    replace(folder / PICTURE, lambda path: picture.save(path, format="PNG"))
    replace(folder / ANIMATION, lambda path: _write_animation(scenes, path))
    return Media(folder, folder / PICTURE, folder / ANIMATION, written)


def _title(run: Run) -> str:
    return f"{run.sample}, seed {run.seed}" + ("" if run.variant == "base" else f", {run.variant}")


def playing_rate(num_frames: int) -> float:
    """16 a second, as Wan makes them; slower for a video that would be over within two seconds."""
    return float(min(16, max(4, num_frames // 2)))


def _scene(video: Frames, label: str) -> Frames:
    """First, middle and last frame side by side under a label: one picture of the animation."""
    kept = video[pictures.choose_frames(len(video), 3)]
    fitted = np.stack([pictures.fit(frame, 224, 320) for frame in kept])
    return pictures.labelled(pictures.side_by_side(fitted), label)


def _write_animation(scenes: Sequence[Frames], path: Path) -> None:
    images = [Image.fromarray(scene) for scene in scenes]
    times = [_STEP_MS] * (len(images) - 1) + [_LAST_MS]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
