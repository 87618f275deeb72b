"""Plans of any size, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosinterp.models.geometry import Size
from cosinterp.planning.estimate import RunShape
from cosinterp.planning.plan import PlannedSample, TracePlan
from cosinterp.samples import Sample
from stores.settings import StoreSettings

WAN_14B = RunShape(
    grid=(21, 30, 52),
    channels=5120,
    latent=(16, 21, 60, 104),
    video=(81, 480, 832, 3),
    condition=480 * 832 * 3,
    num_steps=20,
)
SMALL = RunShape(
    grid=(3, 4, 4), channels=24, latent=(4, 3, 8, 8), video=(5, 32, 32, 3), condition=0, num_steps=4
)


def plan_of(
    *shapes: RunShape,
    sites: Sequence[str] = ("resid",),
    num_layers: int = 40,
    reductions: dict[str, tuple[str, ...]] | None = None,
    seeds: Sequence[int] = (0,),
    **choices: Any,
) -> TracePlan:
    """A plan over a sample of each shape (default: one of Wan2.2 14B's) that keeps everything in bf16.

    ``choices`` are fields of `TracePlan`.
    """
    used = shapes or (WAN_14B,)
    samples = tuple(
        PlannedSample(Sample(f"sample-{number}", "go"), {}, Size(shape.video[1], shape.video[2], 5), shape)
        for number, shape in enumerate(used)
    )
    fields: dict[str, Any] = {
        "layers": {site: tuple(range(0 if site == "resid" else 1, num_layers + 1)) for site in sites},
        "steps": tuple(range(used[0].num_steps)),
        "branches": ("cond", "uncond"),
        "reductions": dict.fromkeys(sites, ("full",)) | (reductions or {}),
        "dtype": "bf16",
        "compression": "none",
        "save_video": True,
        "samples": samples,
        "seeds": tuple(seeds),
        "num_steps": used[0].num_steps,
        "run_branches": ("cond", "uncond"),
        "reduce_seed": 0,
        "batch": 1,
        "writers": None,
        "settings": StoreSettings(),
    }
    return TracePlan(**fields | choices)
