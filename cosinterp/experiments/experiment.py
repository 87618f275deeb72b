"""What an experiment is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from cosinterp.experiments.costs import Cost
    from cosinterp.experiments.settings import Preset, Settings
    from probes.claims import Claim, Findings

Data = Literal["mazes", "goals", "scenes"]


@dataclass(frozen=True)
class Experiment:
    """One of the paper's experiments.

    Attributes:
        name: as `cosinterp experiment` knows it.
        title: a few words.
        presets: its settings: "smoke" to see that it runs, "small" for two CPU cores, "full" for a
            GPU.
        run: does it, of settings of the type of its presets.
        cost: what that takes, given the number of the model's blocks; no more than an estimate.
        claims: what it is going to judge, given its settings.
        data: which of the datasets of `reproduce` it is about: mazes with one goal each, the same with both
            goals, or scenes.
        shares_base: whether its runs are those of `Bench.base`, which others use too.
    """

    name: str
    title: str
    presets: Mapping[Preset, Settings]
    run: Callable[[Bench, Any], Findings]
    cost: Callable[[Any, int], Cost]
    claims: Callable[[Any], Sequence[Claim]]
    data: Data = "mazes"
    shares_base: bool = True
