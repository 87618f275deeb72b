"""The videos of a store's runs as files, laid out as VBVR-Bench's evaluators look for them.

    OUT/seed-0/In-Domain_50/G-45_key_door_matching_data-generator/00000.mp4

The evaluators take a folder for a model's: ``SPLIT/TASK/INDEX.mp4``, with the names of the ground truth
(``run_evaluation.py`` of https://github.com/Video-Reason/VBVR-EvalKit, ``run_evaluation_video.py`` of
https://github.com/Video-Reason/VBVR-Pro-Bench). Each seed is such a folder, so that they score seeds side by
side as they do models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.decoding import final_video, model_of
from cosinterp.errors import StoreError, UserError
from cosinterp.frame_rates import usual_frame_rate
from cosinterp.media_files import FULL_COLOUR, HALF_COLOUR, Frames, encode_video, replace
from cosinterp.samples import Place
from cosinterp.video_records import Origin, append_record, is_recorded, read_records
from stores.filters import Samples, Seeds
from stores.layout import BASE
from stores.tools.opening import AnyStore, opened

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import Run, RunEntry, Store

CRF = 10
PIXEL_FORMATS = (HALF_COLOUR, FULL_COLOUR)


@dataclass(frozen=True)
class ExportedVideo:
    """The video of a run.

    Attributes:
        path: its file.
        origin: what it is made from.
        placed: whether its sample lies in a dataset folder; else the file is called after the sample.
        present: whether it was there already.
    """

    path: Path
    origin: Origin
    placed: bool
    present: bool


@dataclass(frozen=True)
class VideoPlan:
    """Which videos an export has, and which of them it makes."""

    store: Store
    out: Path
    videos: tuple[ExportedVideo, ...]

    @property
    def todo(self) -> tuple[ExportedVideo, ...]:
        """The videos that are not there yet."""
        return tuple(video for video in self.videos if not video.present)

    @property
    def needs_model(self) -> bool:
        """Whether one of them has to be decoded."""
        return any(video.origin.decoder is not None for video in self.todo)


def export_videos(
    store: AnyStore,
    out: Path | str,
    *,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: str | None = None,
    frame_rate: float | None = None,
    crf: int = CRF,
    pixel_format: str = HALF_COLOUR,
    model: Model | str | None = None,
    device: str | None = None,
    force: bool = False,
    progress: Callable[[ExportedVideo], object] | None = None,
) -> list[ExportedVideo]:
    """Write the videos of a store's runs so that VBVR-Bench's evaluators run on them.

    ``out/seed-SEED/SPLIT/TASK/INDEX.mp4``, or ``out/seed-SEED.VARIANT/...`` for runs of another variant than
    base. A sample that comes from no dataset folder lies in its seed's folder, under its own name. Videos
    that are there from the same run, made in the same way, are left alone; each appears when it is whole.

    Args:
        store: a store, or its folder.
        out: the folder; made if it does not exist.
        samples, seeds, variant: which runs, as in `Store.runs`; None is all.
        frame_rate: frames a second; default: what is usual for the pipeline.
        crf: x264's constant rate factor, 0 to 51: the lower, the truer and larger.
        pixel_format: "yuv420p", or "yuv444p" for colour at full resolution (see `media_files.encode_video`).
        model: what decodes the final latents of runs whose video is not stored; default: the model that made
            the store. It is not loaded if all videos are stored.
        device: where that runs.
        force: replace videos that are of another run, or made otherwise.
        progress: called with each video that is written.

    Returns:
        All videos of these runs, by seed and path.

    Raises:
        UserError: a number out of range, no such run, a video of something else that is there, a run that
            has neither video nor latents, no model, no space.
    """
    plan = plan_videos(
        *(store, out),
        samples=samples,
        seeds=seeds,
        variant=variant,
        frame_rate=frame_rate,
        crf=crf,
        pixel_format=pixel_format,
        model=model if isinstance(model, str | None) else model.name,
        force=force,
    )
    if plan.needs_model and (model is None or isinstance(model, str)):
        model = model_of(plan.store, model, **({} if device is None else {"device": device}))
    write_videos(plan, None if isinstance(model, str) else model, progress)
    return list(plan.videos)


def plan_videos(
    store: AnyStore,
    out: Path | str,
    *,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: str | None = None,
    frame_rate: float | None = None,
    crf: int = CRF,
    pixel_format: str = HALF_COLOUR,
    model: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> VideoPlan:
    """Find out what `export_videos` would write; arguments and errors are its own.

    Only ``model`` is given by its name, and ``progress`` is called with the number of runs that were looked
    at, and of all.
    """
    if frame_rate is not None and not 0 < frame_rate < math.inf:
        raise UserError(f"the frame rate has to be a number above 0, not {frame_rate}")
    if not 0 <= crf <= 51:
        raise UserError(f"the constant rate factor (crf) is a whole number from 0 to 51, not {crf}")
    if pixel_format not in PIXEL_FORMATS:
        raise UserError(f'unknown pixel format "{pixel_format}"; use {" or ".join(PIXEL_FORMATS)}')
    source, out = opened(store), Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a folder")
    records = read_records(out)
    videos: list[ExportedVideo] = []
    entries = _choose(source, samples, seeds, variant)
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries))
        with source.run(*entry.key) as run:
            place = _place(run)
            name = entry.sample if place is None else place.path
            path = out / _seed_folder(entry) / f"{name}.mp4"
            origin = Origin(
                sample=entry.sample,
                seed=entry.seed,
                variant=entry.variant,
                finished=str(run.attrs.get("finished")),
                frame_rate=frame_rate
                or usual_frame_rate(source.settings.model, run.attrs.get("sampling", {})),
                crf=crf,
                pixel_format=pixel_format,
                decoder=_decoder(run, model or str(source.settings.model.get("name"))),
            )
        present = path.exists() and is_recorded(records, path, out, origin)
        videos.append(ExportedVideo(path, origin, place is not None, present))
    videos.sort(key=lambda video: (video.origin.seed, video.origin.variant, video.path))
    _check_distinct(videos)
    if not force:
        _check_free(videos)
    return VideoPlan(source, out, tuple(videos))


def write_videos(
    plan: VideoPlan, model: Model | None = None, progress: Callable[[ExportedVideo], object] | None = None
) -> None:
    """Write the videos of a plan that are not there; ``model`` decodes, where `VideoPlan.needs_model`.

    Raises:
        UserError: the disk refuses.
    """
    for video in plan.todo:
        origin = video.origin
        _make_folder(video.path.parent)
        with plan.store.run(origin.sample, origin.seed, origin.variant) as run:
            frames = run.video
            if frames is None:
                if model is None:
                    raise ValueError("these videos need a model that decodes them")
                frames = final_video(model, run)
        replace(video.path, partial(_write, video, frames, plan.out))
        if progress is not None:
            progress(video)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from error


def _write(video: ExportedVideo, frames: Frames, out: Path, draft: Path) -> None:
    how = video.origin
    encode_video(frames, draft, how.frame_rate, crf=how.crf, pixel_format=how.pixel_format)
    # Before it has its name: a video without a record is taken for somebody else's.
    append_record(out, video.path, how, draft.stat().st_size)


def _choose(store: Store, samples: Samples, seeds: Seeds, variant: str | None) -> list[RunEntry]:
    names = [samples] if isinstance(samples, str) else None if samples is None else list(samples)
    entries = store.runs(names, seeds, variant)
    if not entries:
        raise StoreError(f"{store.path}: no run is selected")
    missing = sorted(set(names or ()) - {entry.sample for entry in entries})
    if missing:
        raise StoreError(f"{store.path}: no run of the sample {missing[0]} is selected")
    return entries


def _place(run: Run) -> Place | None:
    metadata = run.attrs.get("metadata")
    return Place.from_metadata(metadata) if isinstance(metadata, dict) else None


def _seed_folder(entry: RunEntry) -> str:
    return f"seed-{entry.seed}" + ("" if entry.variant == BASE else f".{entry.variant}")


def _decoder(run: Run, model: str) -> str | None:
    if run.has_video:
        return None
    if not run.has_latents:
        raise StoreError(f"{run.path}: this run was stored without its video and its latents")
    return model


def _check_distinct(videos: list[ExportedVideo]) -> None:
    seen: dict[Path, str] = {}
    for video in videos:
        other = seen.setdefault(video.path, video.origin.sample)
        if other != video.origin.sample:
            raise UserError(
                f"the samples {other} and {video.origin.sample} would both be {video.path}; "
                "choose one of them, or another folder for each"
            )


def _check_free(videos: list[ExportedVideo]) -> None:
    taken = [video for video in videos if not video.present and video.path.exists()]
    if taken:
        more = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise UserError(
            f"{taken[0].path}{more}: this is of another run, or was made otherwise; replace it with --force "
            "(force=True), or choose another folder"
        )
