"""Which sites are attributed at which layers, and what has to be read for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosinterp.errors import SelectionError
from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import RAW, Sublayer
from stores.selection import Selection, select


@dataclass(frozen=True)
class Attributed:
    """The layers of each site that are attributed, and the branches."""

    anatomy: Anatomy
    layers: dict[str, tuple[int, ...]]
    branches: tuple[str, ...]

    def has(self, site: str, layer: int, branch: str) -> bool:
        """Whether a cell is attributed."""
        return branch in self.branches and layer in self.layers.get(site, ())

    @property
    def read(self) -> dict[str, tuple[int, ...]]:
        """The layers of each site to read: also the raw form of gated sites, which has their gradient."""
        read = {site: set(layers) for site, layers in self.layers.items()}
        for site, layers in self.layers.items():
            gated = {layer for layer in layers if self.is_gated(site, layer)}
            if gated:
                read.setdefault(site + RAW, set()).update(gated)
        return {site: tuple(sorted(layers)) for site, layers in read.items()}

    def is_gated(self, site: str, layer: int) -> bool:
        """Whether a site is its raw form times a gate, multiplied by the block itself."""
        part = self._sublayer(site, layer)
        return part is not None and site == part.site and part.gate is not None and part.added is None

    def is_absent(self, site: str, layer: int, branch: str) -> bool:
        """Whether a branch does not compute a site, so that nothing is added there."""
        part = self._sublayer(site, layer)
        return part is not None and branch in part.absent

    def _sublayer(self, site: str, layer: int) -> Sublayer | None:
        if layer == 0:
            return None
        stack, _ = self.anatomy.stack_of(layer)
        name = site.removesuffix(RAW)
        return next((part for part in stack.sublayers if part.site == name), None)


def choose(
    anatomy: Anatomy,
    settings: Mapping[str, Any],
    sites: str | Sequence[str],
    layers: Selection,
    branches: str | Sequence[str],
) -> Attributed:
    """What is asked for, of a run with complete sampling settings; see `cosinterp.trace`.

    Raises:
        SelectionError: a site, a layer or a branch that is not there.
    """
    chosen = select(layers, anatomy.layers, "layers", "this model")
    found = {site: anatomy.layers_of(site, chosen) for site in anatomy.select_sites(_names(sites))}
    nowhere = [site for site, own in found.items() if not own]
    if nowhere:
        raise SelectionError(f"{nowhere[0]} is at none of the layers that are asked for")
    return Attributed(anatomy, found, anatomy.select_branches(_names(branches), settings))


def _names(asked: str | Sequence[str]) -> str | list[str]:
    return asked if isinstance(asked, str) else list(asked)
