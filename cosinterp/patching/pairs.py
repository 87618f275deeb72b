"""Pairs of runs: a donor and a recipient that differ in what is asked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import RunRef
from stores import Run, Store
from stores.selection import Selection, parse_seeds
from stores.units import count_text

STAR = "*"


@dataclass(frozen=True)
class Pair:
    """A donor and a recipient; ``name`` is that of their samples, whatever their seeds."""

    name: str
    donor: RunRef
    recipient: RunRef

    def turned(self) -> Pair:
        """The recipient as the donor, under the same name."""
        return Pair(self.name, self.recipient, self.donor)


def find_pairs(
    recipients: Store,
    donors: Store,
    *,
    recipient: str,
    donor: str,
    seeds: Selection | None = None,
    donor_seeds: Selection | None = None,
) -> list[Pair]:
    """The pairs of two samples, or of many samples by their names.

    Args:
        recipients, donors: their stores, which may be one.
        recipient, donor: a sample each; or a pattern each with one ``*``, which stands for the same in both
            names: ``maze-7x7-blue-*`` and ``maze-7x7-red-*``.
        seeds: of the recipients; None: all.
        donor_seeds: of the donors, one for each of ``seeds`` in their order, or one for all; None: the same
            seed.

    Raises:
        SelectionError: there is no such pair.
    """
    names = _paired_names(recipients, donors, recipient, donor)
    asked = None if seeds is None else tuple(dict.fromkeys(_numbers(seeds)))
    pairs = []
    for receiving, giving in names:
        own = [entry.seed for entry in recipients.runs(receiving, seed=asked, variant="base")]
        donor_seed = _donor_seed(donor_seeds, own if asked is None else asked)
        for seed in own:
            from_seed = donor_seed[seed]
            if not donors.has(giving, from_seed):
                continue
            if (giving, from_seed, str(donors.path)) == (receiving, seed, str(recipients.path)):
                raise SelectionError(
                    f"{receiving} seed {seed} is both donor and recipient; choose another sample or seed"
                )
            name = giving if giving == receiving else f"{giving} > {receiving}"
            pairs.append(
                Pair(
                    name,
                    RunRef(store=str(donors.path), sample=giving, seed=from_seed),
                    RunRef(store=str(recipients.path), sample=receiving, seed=seed),
                )
            )
    if not pairs:
        raise SelectionError(
            f"no pair: no run of {recipient} in {recipients.path} has its donor, {donor} with "
            f"{'the same seed' if donor_seeds is None else 'that seed'}, in {donors.path}"
        )
    return pairs


def check_pair(donor: Run, recipient: Run) -> None:
    """Refuse two runs whose activations lie on different grids, or at different noise levels.

    Raises:
        InterventionError: says in what they differ.
    """
    who = f"{donor.sample} seed {donor.seed} and {recipient.sample} seed {recipient.seed}"
    for run in (donor, recipient):
        if not run.has_latents:
            raise InterventionError(f"{run.sample} seed {run.seed} was stored without its latents")
    shapes = [run.noisy(0).shape[1:] for run in (donor, recipient)]
    if shapes[0] != shapes[1]:
        grids = " and ".join("x".join(map(str, shape)) for shape in shapes)
        raise InterventionError(
            f"{who} have different grids: latents of {grids} (frame x row x col); trace both at one size"
        )
    if donor.num_steps != recipient.num_steps:
        raise InterventionError(
            f"{who} have {donor.num_steps} and {recipient.num_steps} steps; trace both with one number"
        )
    if not np.array_equal(donor.schedule.timestep, recipient.schedule.timestep):
        raise InterventionError(f"{who} have different timesteps; trace both with one schedule")
    guided = [run.attrs["sampling"].get("guidance_scale") for run in (donor, recipient)]
    if guided[0] != guided[1]:
        raise InterventionError(
            f"{who} have guidance scales {guided[0]} and {guided[1]}; trace both with one"
        )


def other_seeds(store: Store, ref: RunRef) -> Sequence[int]:
    """The other seeds of a run's sample, in the order in which they follow its own."""
    seeds = sorted(entry.seed for entry in store.runs(ref.sample, variant=ref.variant))
    return [seed for seed in seeds if seed > ref.seed] + [seed for seed in seeds if seed < ref.seed]


def _paired_names(recipients: Store, donors: Store, recipient: str, donor: str) -> list[tuple[str, str]]:
    stars = recipient.count(STAR), donor.count(STAR)
    if stars == (0, 0):
        for store, name in ((recipients, recipient), (donors, donor)):
            if not store.runs(name, variant="base"):
                raise SelectionError(f"{store.path} has no runs of {name}; {_some_names(store)}")
        return [(recipient, donor)]
    if stars != (1, 1):
        raise SelectionError(
            f'"{donor}" and "{recipient}": give two names, or two patterns with one * each, such as '
            "maze-7x7-red-* and maze-7x7-blue-*"
        )
    before, _, after = recipient.partition(STAR)
    fitting = re.compile(f"{re.escape(before)}(.*){re.escape(after)}")
    samples = dict.fromkeys(entry.sample for entry in recipients.runs(variant="base"))
    found = [
        (name, donor.replace(STAR, match.group(1))) for name in samples if (match := fitting.fullmatch(name))
    ]
    if not found:
        raise SelectionError(f"{recipients.path} has no runs of {recipient}; {_some_names(recipients)}")
    return found


def _some_names(store: Store) -> str:
    names = list(dict.fromkeys(entry.sample for entry in store.runs(variant="base")))
    if not names:
        return "it has no runs"
    return f"it has {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _numbers(seeds: Selection) -> tuple[int, ...]:
    if isinstance(seeds, slice):
        raise SelectionError("seeds: a slice has no meaning here; give numbers, or a text such as 0-7")
    if isinstance(seeds, str):
        # Item by item: which donor is whose is told by the order.
        return tuple(seed for item in seeds.split(",") for seed in parse_seeds(item))
    return (seeds,) if isinstance(seeds, int) else tuple(int(seed) for seed in seeds)


def _donor_seed(donor_seeds: Selection | None, seeds: Sequence[int]) -> dict[int, int]:
    """The donor's seed, by that of the recipient."""
    given = seeds if donor_seeds is None else _numbers(donor_seeds)
    if len(given) not in (1, len(seeds)):
        counts = f"{count_text(len(given), 'donor seed')} for {count_text(len(seeds), 'seed')}"
        raise SelectionError(f"{counts}; give one, or as many")
    return {seed: given[index % len(given)] for index, seed in enumerate(seeds)}
