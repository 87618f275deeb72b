"""The paper's experiments (Wang et al. 2026, arXiv 2603.16870), each a named thing that runs.

An experiment is a module of this package with an `Experiment` named ``EXPERIMENT`` and a line in `_HOMES`.
It has settings (printed, and stored with its result), rests on what the rest of the package makes (runs,
scores, probes, patches), and gives `probes.claims.Findings`: claims that are judged by a rule.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cosinterp.errors import SelectionError

if TYPE_CHECKING:
    from cosinterp.experiments.experiment import Experiment

_HOMES = {
    "chain-of-steps": "chain_of_steps",
    "self-correction": "self_correction",
    "layer-maps": "layer_maps",
    "latent-swap": "latent_swap",
    "noise": "noise",
    "ensemble": "ensemble",
    "frames": "frames",
    "working-memory": "working_memory",
}

NAMES = tuple(_HOMES)
"""In the order in which `reproduce` runs them."""


def experiment_of(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        SelectionError: there is none.
    """
    if name not in _HOMES:
        raise SelectionError(f'experiment "{name}": there is {", ".join(NAMES)}')
    return import_module(f"{__name__}.{_HOMES[name]}").EXPERIMENT
