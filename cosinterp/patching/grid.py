"""The grid of a sweep: which steps, layers, sites, tokens and branches are patched, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import Intervention, What
from cosinterp.interventions.token_groups import TokenGroup
from stores.selection import Selection, compact, select

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy

CUMULATIVE, ONWARD = "cumulative", "onward"
ALL = "all"
_RESID = "resid"


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: all its layers and steps are patched together."""

    site: str
    layers: tuple[int, ...]
    steps: tuple[int, ...]
    tokens: str
    branch: str

    @property
    def labels(self) -> dict[str, Any]:
        """The columns that name it."""
        return {
            "site": self.site,
            "layer": self.layers[0],
            "layers": compact(self.layers),
            "steps": compact(self.steps),
            "tokens": self.tokens,
            "branch": self.branch,
        }

    def intervention(self, what: What, elsewhere: int | None = None) -> Intervention:
        """What is done there."""
        return Intervention(
            site=self.site,
            layers=self.layers,
            steps=self.steps,
            branches=None if self.branch == ALL else (self.branch,),
            tokens=self.tokens,
            elsewhere=elsewhere,
            what=what,
        )


@dataclass(frozen=True)
class Grid:
    """What a sweep goes through.

    Attributes:
        steps, layers, sites, tokens, branches: each is an axis. ``branches`` "all" patches all together.
        window: how many steps are patched together, from each of ``steps`` on; "cumulative": from the first
            of ``steps`` up to each of them; "onward": from each of them to the last.
        layer_window: how many layers are patched together, from each of ``layers`` on.
    """

    steps: Selection = ALL
    layers: Selection = ALL
    sites: Sequence[str] | str = (_RESID,)
    tokens: Sequence[str] = (ALL,)
    branches: Sequence[str] = (ALL,)
    window: int | str = 1
    layer_window: int = 1

    def cells(self, anatomy: Anatomy, settings: dict[str, Any]) -> list[Cell]:
        """All cells, for a model and complete sampling settings.

        Raises:
            SelectionError: a step, layer, site, branch or window that there is not.
            InterventionError: tokens of a site that does not lie on the token grid.
        """
        num_steps = settings["num_steps"]
        sites = anatomy.select_sites(self.sites if isinstance(self.sites, str) else list(self.sites))
        layers = select(self.layers, anatomy.layers, "layers", "this model")
        windows = list(self._step_windows(select(self.steps, range(num_steps), "steps", "this run")))
        tokens = dict.fromkeys(str(TokenGroup.parse(text)) for text in self.tokens)
        named = [name.strip() for text in self.branches for name in text.split(",")]
        branches = dict.fromkeys(self._branch(anatomy, name, settings) for name in named)
        cells = [
            Cell(site, together, steps, group, branch)
            for site in sites
            for together in self._layer_windows(anatomy.layers_of(site, layers))
            for steps in windows
            for group in tokens
            for branch in branches
        ]
        if not cells:
            raise SelectionError(
                f"nothing to patch: {', '.join(sites)} at layers {compact(layers)} with these windows"
            )
        for cell in cells:
            if cell.tokens != ALL and not anatomy.on_token_grid(cell.site):
                raise InterventionError(
                    f'tokens "{cell.tokens}": {cell.site} has no places on the token grid; use all'
                )
        return cells

    def _branch(self, anatomy: Anatomy, name: str, settings: dict[str, Any]) -> str:
        return ALL if name == ALL else anatomy.select_branches(name, settings)[0]

    def _step_windows(self, steps: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if self.window == CUMULATIVE:
            for index in range(len(steps)):
                yield steps[: index + 1]
        elif self.window == ONWARD:
            for index in range(len(steps)):
                yield steps[index:]
        else:
            possible = f"a number of steps, {CUMULATIVE} or {ONWARD}"
            yield from _windows(steps, _size(self.window, "window", possible))

    def _layer_windows(self, layers: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        yield from _windows(layers, _size(self.layer_window, "layer window", "a number of layers"))


def _windows(values: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(len(values) - size + 1):
        yield values[start : start + size]


def _size(value: int | str, name: str, possible: str) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise SelectionError(f"{name} {value!r}: give {possible}")
    return int(text)
