"""Interventions made ready for the rows of one call of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import torch

from cosinterp.ensembles.merging import merge
from cosinterp.errors import InterventionError
from cosinterp.interventions.intervention import (
    Add,
    Average,
    Intervention,
    Mean,
    Noise,
    RandomLike,
    Replace,
    RunRef,
    Scale,
    Zero,
)

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy
    from cosinterp.steps import Call


@dataclass(frozen=True)
class Place:
    """Where in a run an activation is."""

    site: str
    step: int
    layer: int
    branch: str


class Sources:
    """Where what is put into a run comes from; here, from nowhere.

    Tensors on any device, tokens in the order of the grid.

    Raises:
        UserError: there is no such activation.
    """

    def donor(self, run: RunRef, place: Place) -> torch.Tensor:
        """A run's activation, (row, token, channel): that of the same row of a batch, or one row for all."""
        raise InterventionError(f"there is no donor {run}")

    def mean(self, over: Mean, place: Place) -> torch.Tensor:
        """A mean over runs: (token, channel), or (1, channel) for all tokens."""
        raise InterventionError(f"there is no store {over.store} to take a mean over")

    def vector(self, file: str, place: Place) -> torch.Tensor:
        """A steering vector: (channel,)."""
        raise InterventionError(f"there is no vector {file}")


NO_SOURCES = Sources()


@dataclass(frozen=True)
class Edit:
    """An intervention on one row of a call, or on all rows if ``row`` is None.

    ``mask``: which tokens of the grid, bool (token,); None: all.
    """

    row: int | None
    intervention: Intervention
    mask: torch.Tensor | None = None

    @property
    def rows(self) -> slice:
        """The rows that it changes."""
        return slice(None) if self.row is None else slice(self.row, self.row + 1)

    def meets(self, site: str, layer: int, call: Call) -> bool:
        """Whether it changes this site at this layer in this call."""
        return site == self.intervention.site and layer in self.intervention.layers and self.meets_call(call)

    def meets_call(self, call: Call) -> bool:
        """Whether it changes anything in this call."""
        branches = self.intervention.branches
        return call.step in self.intervention.steps and (branches is None or call.branch in branches)


def resumes_at(intervention: Intervention, anatomy: Anatomy) -> int:
    """The last layer whose block need not run again: what it returns is known, and can be changed then."""
    first = min(intervention.layers)
    needs_block = intervention.is_of_block or not anatomy.is_stream(intervention.site)
    return max(0, first - 1) if needs_block else first


class Edits:
    """The edits of one call of a pipeline, applied in their order; see `cosinterp.capture.watching`."""

    def __init__(self, edits: Sequence[Edit], anatomy: Anatomy, sources: Sources = NO_SOURCES) -> None:
        self._edits = list(edits)
        self._sources = sources
        self._bypasses = [edit for edit in edits if edit.intervention.is_of_block]
        self._streams = tuple(site for site in anatomy.sites if anatomy.is_stream(site))
        self._entered: dict[tuple[str, str], torch.Tensor] = {}
        layers: dict[str, set[int]] = {}
        for edit in edits:
            layers.setdefault(edit.intervention.site, set()).update(edit.intervention.layers)
        for edit in self._bypasses:
            for site in self._streams:
                for layer in edit.intervention.layers:
                    layers.setdefault(site, set()).update(anatomy.layers_of(site, (layer - 1, layer)))
        self.layers = {site: tuple(sorted(own)) for site, own in layers.items()}

    def wanted(self, call: Call) -> bool:
        """Whether any edit changes this call."""
        return any(edit.meets_call(call) for edit in self._edits)

    def on_tensor(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
        """The tokens (row, token, channel) as they are to be; None: as they are."""
        changed: torch.Tensor | None = None
        for edit in self._edits:
            place = Place(site, call.step, layer, call.branch)
            new = self._new(edit, tokens if changed is None else changed, place, call)
            if new is not None:
                changed = tokens.clone() if changed is None else changed
                changed[edit.rows] = new
        if self._bypasses and site in self._streams:
            # With all changes: the next block is entered by them.
            self._entered[site, call.branch] = tokens.clone() if changed is None else changed
        return changed

    def _new(self, edit: Edit, tokens: torch.Tensor, place: Place, call: Call) -> torch.Tensor | None:
        """What is put in place of the rows of an edit; None: it changes nothing here."""
        what, now = edit.intervention.what, tokens[edit.rows]
        if edit.intervention.is_of_block:
            is_met = place.site in self._streams and edit.meets(edit.intervention.site, place.layer, call)
            entered = self._entered.get((place.site, place.branch))
            return None if entered is None or not is_met else _without_block(edit, tokens, entered, place)
        if not edit.meets(place.site, place.layer, call):
            return None
        new = _CHANGES[type(what)](what, now, place, edit.rows, self._sources).to(now.dtype)
        return new if edit.mask is None else torch.where(edit.mask[None, :, None].to(now.device), new, now)


Change = Callable[[Any, torch.Tensor, Place, slice, Sources], torch.Tensor]
"""Makes of what is to be done, tokens (row, token, channel), their place and their rows what is put there."""


def _of_donor(run: RunRef, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    own = sources.donor(run, place)
    own = own if own.shape[0] == 1 else own[rows]
    if own.shape[1:] != tokens.shape[1:]:
        raise InterventionError(
            f"the donor {run} has {own.shape[1]} tokens of {own.shape[2]} channels at {place.site}, layer "
            f"{place.layer}, and the run that it is put into {tokens.shape[1]} of {tokens.shape[2]}"
        )
    return own.to(tokens.device, tokens.dtype).expand_as(tokens)


def _replaced(
    what: Replace, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources
) -> torch.Tensor:
    there = Place(
        place.site,
        place.step if what.step is None else what.step,
        place.layer if what.layer is None else what.layer,
        what.branch or place.branch,
    )
    return _of_donor(what.donor, tokens, there, rows, sources)


def _random_like(
    what: RandomLike, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources
) -> torch.Tensor:
    return _as_far_as(_CHANGES[type(what.like)](what.like, tokens, place, rows, sources), tokens, what, place)


def _without_block(edit: Edit, tokens: torch.Tensor, entered: torch.Tensor, place: Place) -> torch.Tensor:
    """The rows of an edit as they entered the block, or in a random direction as far away as that."""
    what, before = edit.intervention.what, entered[edit.rows]
    if not isinstance(what, RandomLike):
        return before
    return _as_far_as(before, tokens[edit.rows], what, place).to(tokens.dtype)


def _as_far_as(changed: torch.Tensor, tokens: torch.Tensor, what: RandomLike, place: Place) -> torch.Tensor:
    distance = (changed.float() - tokens.float()).norm(dim=-1, keepdim=True)
    direction = _gaussian(what.seed, tokens[:1], place)
    return tokens.float() + distance * direction / direction.norm(dim=-1, keepdim=True)


def _added(what: Add, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    vector = sources.vector(what.file, place).to(tokens.device).float()
    if vector.shape[-1] != tokens.shape[-1]:
        raise InterventionError(
            f"{what.file}: the vector has {vector.shape[-1]} channels, {place.site} has {tokens.shape[-1]}"
        )
    if what.random is not None:
        # One direction at all steps and branches of a layer, as the vectors themselves hardly turn there.
        direction = _gaussian(what.random, vector, Place(place.site, 0, place.layer, ""))
        vector = vector.norm() * direction / direction.norm()
    return tokens.float() + what.scale * vector


def _scaled(what: Scale, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    return tokens.float() * what.factor


def _zeroed(what: Zero, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    return torch.zeros_like(tokens)


def _mean(what: Mean, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    mean = sources.mean(what, place)
    if mean.shape[-1] != tokens.shape[-1] or mean.shape[0] not in (1, tokens.shape[1]):
        raise InterventionError(
            f"{what.store}: the mean has {mean.shape[0]} tokens of {mean.shape[1]} channels at {place.site}, "
            f"layer {place.layer}, and the run that it is put into {tokens.shape[1]} of {tokens.shape[2]}"
        )
    return mean.to(tokens.device).expand_as(tokens)


def _noised(what: Noise, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    size = tokens.float().std(dim=(-2, -1), keepdim=True)
    return tokens.float() + what.scale * size * _gaussian(what.seed, tokens[:1], place)


def _averaged(
    what: Average, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources
) -> torch.Tensor:
    return merge(tokens, what.how, what.weights, each=1).expand_as(tokens)


def _gaussian(seed: int, like: torch.Tensor, place: Place) -> torch.Tensor:
    """Float32 noise of a shape: the same on every device, another one at every place."""
    named = f"{seed} {place.site} {place.step} {place.layer} {place.branch}"
    own = int.from_bytes(blake2b(named.encode(), digest_size=7).digest())
    generator = torch.Generator("cpu").manual_seed(own)
    return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like.device)


_CHANGES: dict[type, Change] = {
    Replace: _replaced,
    RandomLike: _random_like,
    Add: _added,
    Scale: _scaled,
    Zero: _zeroed,
    Mean: _mean,
    Noise: _noised,
    Average: _averaged,
}
