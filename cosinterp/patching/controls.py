"""The controls of a patch: what has to do nothing, and what would do something to any run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.interventions.intervention import RandomLike, Replace, What
from cosinterp.patching.grid import ALL, Cell
from cosinterp.patching.pairs import Pair, other_seeds
from cosinterp.patching.trial import Trial

if TYPE_CHECKING:
    from stores import Store

Share = Literal["some", "all", "none"]

NONE, IDENTITY, RANDOM, WRONG_SEED, ELSEWHERE = "none", "identity", "random", "wrong-seed", "elsewhere"
SUFFICIENCY, NECESSITY = "sufficiency", "necessity"
CONTROL_SEED = 0
"""Of what controls draw."""
_ONE_OF = 8


def patches_of(pair: Pair, cell: Cell, direction: str) -> Trial:
    """The donor's activations in the recipient's run."""
    return trial_of(pair, cell, direction, NONE, Replace(donor=pair.donor))


def controls_of(pair: Pair, cell: Cell, direction: str, donors: Store) -> Iterator[Trial]:
    """The controls of one patch.

    `identity`: the run's own activations; they change nothing. `random`: as far away as the donor's, in a
    random direction. `wrong-seed`: the donor's sample with another seed, if its store has one. `elsewhere`:
    the donor's activations at as many other tokens, where not all are patched.
    """
    yield trial_of(pair, cell, direction, IDENTITY, Replace(donor=pair.recipient))
    yield trial_of(
        pair, cell, direction, RANDOM, RandomLike(like=Replace(donor=pair.donor), seed=CONTROL_SEED)
    )
    others = [seed for seed in other_seeds(donors, pair.donor) if _is_other(pair, seed)]
    if others:
        wrong = pair.donor.model_copy(update={"seed": others[0]})
        yield trial_of(pair, cell, direction, WRONG_SEED, Replace(donor=wrong))
    if cell.tokens != ALL:
        yield trial_of(pair, cell, direction, ELSEWHERE, Replace(donor=pair.donor), elsewhere=CONTROL_SEED)


def controlled(pairs: Sequence[Pair], share: Share) -> list[Pair]:
    """The pairs that controls are made of: all, none, or one of eight, evenly, and at least one."""
    if share == "all":
        return list(pairs)
    return list(pairs[::_ONE_OF]) if share == "some" else []


def trial_of(
    pair: Pair,
    cell: Cell,
    direction: str,
    control: str,
    what: What,
    elsewhere: int | None = None,
    **labels: Any,
) -> Trial:
    """A patch of a pair's recipient in a cell; ``labels``: more of them than a patch has."""
    told = {"pair": pair.name, "direction": direction, **cell.labels, "control": control, **labels}
    return Trial(pair.recipient, pair.donor, (cell.intervention(what, elsewhere),), told)


def _is_other(pair: Pair, seed: int) -> bool:
    """Whether a seed of the donor's sample is not the recipient itself."""
    return pair.donor.model_copy(update={"seed": seed}) != pair.recipient
