"""What an ensemble costs, known before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosinterp.ensembles.spec import Ensemble


def rows_by_step(ensemble: Ensemble, num_steps: int, seeds: int) -> tuple[int, ...]:
    """How many seeds go through each step.

    Args:
        ensemble: what is merged and who goes on.
        num_steps: of a run.
        seeds: how many it is made of.
    """
    going, rows = seeds, []
    for step in range(num_steps):
        rows.append(going)
        if ensemble.select is not None and step == ensemble.select.step:
            going = min(going, ensemble.select.keep)
        if ensemble.one_goes_on and step == ensemble.last_merge:
            going = 1
    return tuple(rows)


def evaluations(ensemble: Ensemble, num_steps: int, seeds: int, branches: int) -> int:
    """Evaluations of the denoiser for one sample: the denoiser once, for one row and one branch.

    Exact where all seeds go through the pipeline together; where hidden states are merged in chunks, blocks
    may run more than once.

    Args:
        ensemble, num_steps, seeds: as of `rows_by_step`.
        branches: of guidance that the model computes at each step.
    """
    return branches * sum(rows_by_step(ensemble, num_steps, seeds))
