"""Checking one run: every bit, every number, and whether it is what its store says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from stores import dtypes, layout, selection
from stores.hdf5 import why_unreadable
from stores.reader import Run
from stores.reduction import FULL
from stores.schedule import flow_factors
from stores.settings import StoreSettings
from stores.sites import SiteInfo
from stores.slabs.reader import SlabReader

_READING = (ValueError, OSError, RuntimeError, MemoryError)


def check_run(run: Run, settings: StoreSettings, checked: Callable[[int], None]) -> Iterator[tuple[str, str]]:
    """(kind, message) of everything that is wrong in a run that can be opened; see `verify.Problem`.

    ``checked`` is told of the bytes of each slab that was read, uncompressed.
    """
    yield from (("schedule", message) for message in _schedule_problems(run))
    yield from (("settings", message) for message in _settings_problems(run, settings))
    yield from _reduction_problems(run)
    for path, slabs in run.slabs():
        yield from _slab_problems(run, path, slabs, checked)


def _slab_problems(
    run: Run, path: str, slabs: SlabReader, checked: Callable[[int], None]
) -> Iterator[tuple[str, str]]:
    indices = list(np.ndindex(*slabs.index_shape))
    wrong: dict[str, list[str]] = {"damaged": [], "unreadable": [], "not finite": []}
    for index in indices:
        checked(slabs.layout.slab_bytes)
        try:
            slab = slabs.read(index, check_again=True)
        except _READING as error:
            reason = why_unreadable(error)
            kind = "damaged" if reason is None else "unreadable"
            wrong[kind].append(f"{_place(run, path, index)} ({reason or error})")
            continue
        factors = slabs.factors(index)
        if not dtypes.all_finite(slab, slabs.dtype) or (factors is not None and np.isnan(factors).any()):
            wrong["not finite"].append(_place(run, path, index))
    for kind, places in wrong.items():
        if places:
            yield kind, f"{path}: {len(places)} of {len(indices)} slabs, first {places[0]}"


def _reduction_problems(run: Run) -> Iterator[tuple[str, str]]:
    for key, info in run.sites.items():
        if "component" in info.axes and not np.isfinite(run.projection(key)).all():
            yield "not finite", f"{layout.PROJECTIONS}/{key}"
        if "token" in info.axes:
            places = run.token_places(key)
            if (places < 0).any() or (places >= info.grid).any():
                grid = "x".join(map(str, info.grid))
                yield "damaged", f"site {key} keeps tokens outside the token grid {grid}"


def _schedule_problems(run: Run) -> Iterator[str]:
    timestep, sigma, _, clean = run.schedule
    if not run.says_clean_estimates:
        yield "the factors of its clean estimate are not stored, and it does not say that it is of a flow"
        return
    if not all(np.isfinite(numbers).all() for numbers in (timestep, sigma, clean)):
        yield "a timestep, a sigma or a factor of the clean estimate is not finite"
        return
    change = np.diff(sigma)
    # The last step may leave the noise that is there, as a schedule that ends at its smallest sigma does.
    rising = np.flatnonzero(np.append(change[:-1] >= 0, change[-1] > 0))
    if rising.size:
        step = int(rising[0])
        yield f"sigma does not decrease after step {step} ({sigma[step]:g} to {sigma[step + 1]:g})"
    is_flow = run.attrs.get("prediction_type") in ("flow", "reversed flow")
    if is_flow and not np.array_equal(np.abs(clean), np.abs(flow_factors(sigma))):
        yield "the factors of the clean estimate are not those of a flow, 1 and sigma"
    for key, info in run.sites.items():
        if info.steps[-1] >= run.num_steps:
            yield f"site {key} has step {info.steps[-1]}, the schedule only {run.num_steps} steps"
    for path, slabs in run.slabs():
        expected = {layout.NOISY: run.num_steps + 1, layout.PREDICTION: run.num_steps}.get(path)
        if expected is not None and slabs.index_shape != (expected,):
            yield f"{path} has {slabs.index_shape[0]} latents, {run.num_steps} steps need {expected}"


def _settings_problems(run: Run, settings: StoreSettings) -> Iterator[str]:
    capture = settings.capture
    sites = capture.get("sites")
    if sites is not None:
        reductions = capture.get("reductions") or {}
        expected = [layout.site_key(site, text) for site in sites for text in reductions.get(site, (FULL,))]
        for key in run.sites.keys() - set(expected):
            yield f"site {key} is not among the sites of {layout.STORE_FILE}: {', '.join(expected)}"
        # Other variants need not record anything.
        lacking = [key for key in expected if key not in run.sites]
        if lacking and run.variant == layout.BASE:
            yield f"site {lacking[0]} of {layout.STORE_FILE} is not stored"
    for info in run.sites.values():
        for name in ("dtype", "compression"):
            found, said = getattr(info, name), capture.get(name)
            if said is not None and found != said:
                yield f"site {info.key} is stored with the {name} {found}, {layout.STORE_FILE} says {said}"
        yield from _selection_problems(info, settings, run.variant == layout.BASE)
    if run.variant == layout.BASE:
        yield from _output_problems(run, capture.get("video"))


def _output_problems(run: Run, video: bool | None) -> Iterator[str]:
    # Settings that say whether videos are kept are those of a trace, which keeps the latents anyway.
    if video is not None and not run.has_latents:
        yield "its latents are not stored"
    if video and not run.has_video:
        yield f"its video is not stored, {layout.STORE_FILE} says it is"


def _selection_problems(info: SiteInfo, settings: StoreSettings, is_base: bool) -> Iterator[str]:
    for name in ("steps", "layers"):
        found, said = getattr(info, name), settings.capture.get(name)
        if said is None:
            continue
        needed = set(said)
        if name == "layers":
            own = settings.capture.get("site_layers", {}).get(info.site)
            if own is not None:
                said, needed = own, set(own)
            elif info.site not in layout.STREAMS:
                # Layer 0 is what goes into the first block, so sublayers do not have it.
                needed -= {0}
        if not set(found) <= set(said) or (is_base and not needed <= set(found)):
            shown = selection.compact(said) or "none"
            yield f"site {info.key} has {name} {selection.compact(found)}, {layout.STORE_FILE} says {shown}"
    said = settings.capture.get("branches")
    if said is not None and (
        not set(info.branches) <= set(said) or (is_base and not set(said) <= set(info.branches))
    ):
        shown = ", ".join(said) or "none"
        yield f"site {info.key} has branches {', '.join(info.branches)}, {layout.STORE_FILE} says {shown}"


def _place(run: Run, path: str, index: tuple[int, ...]) -> str:
    if len(index) == len(layout.INDEX_AXES):
        info = run.sites[path.partition("/")[2]]
        return f"step {info.steps[index[0]]}, layer {info.layers[index[1]]}, {info.branches[index[2]]}"
    return f"step {index[0]}" if index else "all of it"
