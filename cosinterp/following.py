"""Following the runs of another store: a denoiser records along latents that are not its own.

At each step the scheduler is given the prediction that the followed run had, so the denoiser is shown the
very latents of that run, whatever it says of them itself. That is how a model is compared with the untrained
one of the same anatomy: both see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cosinterp.errors import TraceError
from cosinterp.samples.hashes import image_sha256, videos_sha256
from cosinterp.steps import Step
from stores.values import jsonable

if TYPE_CHECKING:
    from cosinterp.planning.plan import PlannedSample, TracePlan
    from stores import Store

# Machines differ in the last bits, guidance multiplies them; another noise is as far away as can be.
_SAME_LATENT = 0.02


class Followed:
    """The store whose runs are followed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def planned(self, plan: TracePlan) -> TracePlan:
        """A plan that says whose runs it follows.

        Raises:
            TraceError: a run of the plan cannot follow: the store lacks it or its latents, or it was made
                from something else.
        """
        for planned in plan.samples:
            for seed in plan.seeds:
                self._check(planned, seed)
        settings = plan.settings
        followed = {"store": self._store.path.name, "model": self._store.settings.model}
        return replace(
            plan, settings=replace(settings, sampling={**settings.sampling, "followed": jsonable(followed)})
        )

    def predictions(self, sample: str, seeds: Sequence[int]) -> Callable[[int], torch.Tensor]:
        """What gives the guided predictions of a step of these runs: (seed, channel, frame, row, col)."""

        def at(step: int) -> torch.Tensor:
            runs = (self._store.shared_run(sample, seed) for seed in seeds)
            return torch.from_numpy(np.stack([run.prediction(step) for run in runs]))

        return at

    def check_latents(self, sample: str, seeds: Sequence[int], step: Step) -> None:
        """Make sure that a step saw the latents of the runs that are followed.

        Raises:
            TraceError: it saw others.
        """
        for row, seed in enumerate(seeds):
            there = self._store.shared_run(sample, seed).noisy(step.index)
            here = step.noisy[row].float().cpu().numpy()
            apart = float(np.linalg.norm(here - there) / np.linalg.norm(there))
            if not apart <= _SAME_LATENT:
                raise TraceError(
                    f"{sample} seed {seed} does not follow its run in {self._store.path}: at step "
                    f"{step.index} its latents are {apart:.2g} of their size away; make both with the same "
                    "settings"
                )

    def _check(self, planned: PlannedSample, seed: int) -> None:
        sample, where = planned.sample, self._store.path
        if not self._store.has(sample.name, seed):
            raise TraceError(f"{where} has no run of {sample.name} with seed {seed} that could be followed")
        run = self._store.shared_run(sample.name, seed)
        if not run.has_latents:
            raise TraceError(f"{where}: {sample.name} seed {seed} was stored without the latents to follow")
        same = {
            "prompt": run.prompt == sample.prompt,
            "image": run.attrs.get("image_sha256") == image_sha256(sample),
            "videos": run.attrs.get("videos_sha256", {}) == videos_sha256(sample),
            **_same_settings(run.attrs.get("sampling", {}), jsonable(planned.settings)),
        }
        differing = [what for what, equal in same.items() if not equal]
        if differing:
            raise TraceError(
                f"{sample.name} seed {seed} cannot follow its run in {where}: it differs in "
                f"{', '.join(differing)}"
            )


def _same_settings(there: dict[str, Any], here: dict[str, Any]) -> dict[str, bool]:
    """Whether each setting is the same."""
    return {name: there.get(name) == here.get(name) for name in {**here, **there}}
