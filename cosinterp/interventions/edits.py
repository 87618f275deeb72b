"""Interventions made ready for the rows of one call of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import torch

from cosinterp.errors import InterventionError
from cosinterp.interventions.intervention import (
    Add,
    Average,
    Bypass,
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
    from cosinterp.denoising import Call
    from cosinterp.models.anatomy import Anatomy


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
    needs_block = isinstance(intervention.what, Bypass) or not anatomy.is_stream(intervention.site)
    return max(0, first - 1) if needs_block else first


class Edits:
    """The edits of one call of a pipeline, applied in their order; see `cosinterp.capture.watching`."""

    def __init__(self, edits: Sequence[Edit], anatomy: Anatomy, sources: Sources = NO_SOURCES) -> None:
        self._edits = list(edits)
        self._sources = sources
        self._bypasses = [edit for edit in edits if isinstance(edit.intervention.what, Bypass)]
        self._anatomy = anatomy
        self._entered: dict[tuple[str, str], torch.Tensor] = {}
        layers: dict[str, set[int]] = {}
        for edit in edits:
            layers.setdefault(edit.intervention.site, set()).update(edit.intervention.layers)
        for edit in self._bypasses:
            for site in self._streams():
                for layer in edit.intervention.layers:
                    layers.setdefault(site, set()).update(anatomy.layers_of(site, (layer - 1, layer)))
        self.layers = {site: tuple(sorted(own)) for site, own in layers.items()}

    def wanted(self, call: Call) -> bool:
        """Whether any edit changes this call."""
        return any(edit.meets_call(call) for edit in self._edits)

    def on_tensor(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
        """The tokens (row, token, channel) as they are to be; None: as they are."""
        changed = self._bypassed(site, layer, tokens, call) if self._bypasses else None
        for edit in self._edits:
            if edit.meets(site, layer, call) and not isinstance(edit.intervention.what, Bypass):
                now = tokens.clone() if changed is None else changed
                place = Place(site, call.step, layer, call.branch)
                now[edit.rows] = self._new(edit, now, place)
                changed = now
        return changed

    def _new(self, edit: Edit, tokens: torch.Tensor, place: Place) -> torch.Tensor:
        """What is put in place of the rows of an edit."""
        what, now = edit.intervention.what, tokens[edit.rows]
        new = _CHANGES[type(what)](what, now, place, edit.rows, self._sources).to(now.dtype)
        return new if edit.mask is None else torch.where(edit.mask[None, :, None].to(now.device), new, now)

    def _bypassed(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
        if site not in self._streams():
            return None
        entered = self._entered.get((site, call.branch))
        changed = None
        for edit in self._bypasses:
            if entered is not None and layer in edit.intervention.layers and edit.meets_call(call):
                changed = tokens.clone() if changed is None else changed
                changed[edit.rows] = entered[edit.rows]
        # Of the block after this one, should that be skipped too.
        self._entered[site, call.branch] = tokens.clone() if changed is None else changed
        return changed

    def _streams(self) -> tuple[str, ...]:
        return tuple(site for site in self._anatomy.sites if self._anatomy.is_stream(site))


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
    donor = _of_donor(what.donor, tokens, place, rows, sources)
    distance = (donor.float() - tokens.float()).norm(dim=-1, keepdim=True)
    direction = _gaussian(what.seed, tokens[:1], place)
    return tokens.float() + distance * direction / direction.norm(dim=-1, keepdim=True)


def _added(what: Add, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    vector = sources.vector(what.file, place).to(tokens.device).float()
    if vector.shape[-1] != tokens.shape[-1]:
        raise InterventionError(
            f"{what.file}: the vector has {vector.shape[-1]} channels, {place.site} has {tokens.shape[-1]}"
        )
    return tokens.float() + what.scale * vector


def _scaled(what: Scale, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    return tokens.float() * what.factor


def _zeroed(what: Zero, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    return torch.zeros_like(tokens)


def _mean(what: Mean, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    return sources.mean(what, place).to(tokens.device).expand_as(tokens)


def _noised(what: Noise, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources) -> torch.Tensor:
    size = tokens.float().std(dim=(-2, -1), keepdim=True)
    return tokens.float() + what.scale * size * _gaussian(what.seed, tokens[:1], place)


def _averaged(
    what: Average, tokens: torch.Tensor, place: Place, rows: slice, sources: Sources
) -> torch.Tensor:
    return tokens.float().mean(dim=0, keepdim=True).expand_as(tokens)


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
