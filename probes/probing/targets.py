"""Targets: what a probe is to predict, as a text.

==========================  ================================================================================
``path``, ``wall``...       a named target of the samples' task (see `maze_targets`)
``truth:NAME``              a truth as it is: an array on the token grid (row, col) or (frame, row, col), or
                            a single number or text of the sample
``goal``, ``path_length``   short for ``truth:goal``: a single number or text among the truths
``solved``...               an outcome of the run, of those that the caller knows
``labels.csv:column``       the user's own (see `own_targets`), as ``labels.npz`` and ``module:function``
``truth:path_order>3``      whether any of these is greater, equal (==)...; of texts ``truth:goal==red``
==========================  ================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from probes.probing import maze_targets
from probes.probing.chosen import Chosen
from probes.probing.own_targets import OfRun, from_file, from_function
from probes.probing.values import OPERATORS, Values, as_values, compared
from stores import Run
from stores.errors import SelectionError

Outcomes = Mapping[str, Callable[[Run], object]]
"""What is known of how a run ended, by name: of the run a number or a truth value, None where not known."""

_NAMED = {maze_targets.TASK: maze_targets.TARGETS}
_COMPARISON = re.compile(rf"(?P<target>.+?)\s*(?P<operator>{'|'.join(OPERATORS)})\s*(?P<other>[^<>=!]+)")
_TRUTH = "truth:"


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        text: as it was asked for.
        of_run: what it is of a run: a single value, (frame,), (row, col) or (frame, row, col).
    """

    text: str
    of_run: OfRun


def read_target(text: str, chosen: Chosen, outcomes: Outcomes | None = None) -> Target:
    """The target that a text means for these runs.

    Raises:
        SelectionError: it means none; what can be used is named.
    """
    text = text.strip()
    match = _COMPARISON.fullmatch(text)
    if match is None:
        return Target(text, _plain(text, chosen, outcomes or {}))
    plain = _plain(match["target"], chosen, outcomes or {})
    operator, other = match["operator"], match["other"].strip()
    return Target(text, lambda run: compared(plain(run), operator, other, f'target "{text}"'))


def _plain(text: str, chosen: Chosen, outcomes: Outcomes) -> OfRun:
    if text.startswith(_TRUTH):
        return _truth(text, text.removeprefix(_TRUTH))
    own = from_file(text, chosen.samples) or from_function(text)
    if own is not None:
        return own
    truths: dict[str, object] = {}
    for sample in chosen.samples:
        entry = next(one for one in chosen.entries if one.sample == sample)
        with chosen.store.run(*entry.key) as run:
            truths = run.truth
        if truths:
            break
    named = _NAMED.get(str(truths.get("task")), {})
    if text in named:
        of_truth, needed = named[text]
        return lambda run: _named(text, of_truth, needed, run)
    scalars = [name for name, value in truths.items() if np.ndim(np.asarray(value)) == 0 and name != "task"]
    if text in scalars:
        return _truth(text, text)
    if text in outcomes:
        outcome = outcomes[text]
        return lambda run: as_values(outcome(run), f'target "{text}"')
    known = ", ".join([*named, *scalars, *(name for name in outcomes if name not in scalars)])
    arrays = ", ".join(f"{_TRUTH}{name}" for name in truths if name not in scalars and name != "task")
    raise SelectionError(
        f'target "{text}" is not known; there are {", ".join(filter(None, (known, arrays))) or "no truths"}, '
        "and your own: labels.csv:column, labels.npz, module:function"
    )


def _truth(text: str, name: str) -> OfRun:
    def of_run(run: Run) -> Values:
        truth = run.truth
        if name not in truth:
            raise SelectionError(
                f'target "{text}": sample {run.sample} has no truth {name}; '
                f"it has {', '.join(truth) or 'none'}"
            )
        return as_values(truth[name], f'target "{text}"')

    return of_run


def _named(
    text: str, of_truth: Callable[[maze_targets.Truth], Values], needed: tuple[str, ...], run: Run
) -> Values:
    truth = run.truth
    lacking = [name for name in needed if name not in truth]
    if lacking:
        raise SelectionError(
            f'target "{text}": sample {run.sample} has no truth {", ".join(lacking)}; '
            "leave it out by --samples"
        )
    return of_truth(truth)
