"""What is compared with what.

A *feature* is what a source holds at one (step, layer): a matrix of rows x channels. A *block* of rows is
what one run gives of them. A source that leaves sample and seed open takes those of the block, so its rows
come from many runs; one that names a seed, or a sample, takes that run whatever the block's is. Two features
are compared row by row:

    layers    every layer with every other, at each step; the same runs
    steps     every step with every other, at each layer; the same runs
    grid      every (step, layer) with every other; the same runs
    seeds     runs of one sample with different seeds, at each step and layer; the mean over pairs of seeds
    samples   runs of different samples with one seed, likewise; the mean over pairs of samples
    variants  runs of one variant with those of another, same sample and seed, at each step and layer
    stores    runs of one store with those of another, same sample and seed, likewise
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement, product
from typing import Literal, get_args

from stores import SelectionError, Store

Across = Literal["layers", "steps", "grid", "seeds", "samples", "variants", "stores"]
ACROSS: tuple[str, ...] = get_args(Across)
SQUARES = ("layers", "steps", "grid")
"""Comparisons of every place with every other, which make maps; the others make a number a step and layer."""


@dataclass(frozen=True)
class Source:
    """Where the rows of a feature come from; None takes what the block of rows says.

    Attributes:
        store: which store.
        variant: which variant.
        sample, seed: which runs.
    """

    store: Store
    variant: str
    sample: str | None = None
    seed: int | None = None

    def run_of(self, block: Block) -> tuple[str, int, str]:
        """Sample, seed and variant of the run with these rows."""
        sample = block.sample if self.sample is None else self.sample
        return sample, block.seed if self.seed is None else self.seed, self.variant


@dataclass(frozen=True)
class Block:
    """The rows of one run: tokens of its token grid, or their mean."""

    sample: str
    seed: int


@dataclass(frozen=True)
class Feature:
    """What a source, given by its number, holds at one (step, layer)."""

    source: int
    step: int
    layer: int


@dataclass(frozen=True)
class Pair:
    """Two features, by their numbers, and which entry of the result they belong to.

    Attributes:
        first, second: the features.
        entry: pairs of one entry are averaged.
        group: pairs of one group share features, so they are computed together where memory allows.
        samples: in a comparison of samples, the two.
    """

    first: int
    second: int
    entry: tuple[int, ...]
    group: int
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Design:
    """All pairs of a comparison.

    Attributes:
        across: what is compared.
        sources, features, pairs: see there.
        blocks: the rows, sample by sample.
        dims: of the result, with the labels along each.
    """

    across: Across
    sources: tuple[Source, ...]
    features: tuple[Feature, ...]
    pairs: tuple[Pair, ...]
    blocks: tuple[Block, ...]
    dims: dict[str, tuple[int, ...]]
    notes: tuple[str, ...] = field(default=())

    @property
    def samples(self) -> tuple[str, ...]:
        """The independent samples."""
        if self.across == "samples":
            return tuple(source.sample for source in self.sources if source.sample is not None)
        return tuple(dict.fromkeys(block.sample for block in self.blocks))

    @property
    def left_out(self) -> int:
        """How many samples can be left out of the rows; none where samples are what is compared."""
        return 0 if self.across == "samples" else len(self.samples)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        if self.across == "seeds":
            return tuple(source.seed for source in self.sources if source.seed is not None)
        return tuple(sorted({block.seed for block in self.blocks}))

    @property
    def runs(self) -> int:
        """How many runs each side of the comparison has."""
        return len(self.samples) * len(self.seeds)

    @property
    def is_square(self) -> bool:
        """Whether places are compared with one another, the result being a map that is symmetric."""
        return self.across in SQUARES


def squares(
    across: Across,
    source: Source,
    samples: Sequence[str],
    seeds: Sequence[int],
    steps: Sequence[int],
    layers: Sequence[int],
    notes: Sequence[str] = (),
) -> Design:
    """Places with one another, each also with itself: the runs are the same on both sides.

    Raises:
        SelectionError: there is a single place.
    """
    places = list(product(steps, layers))
    features = tuple(Feature(0, step, layer) for step, layer in places)
    by_group: dict[int, list[int]] = {}
    for number, (step, layer) in enumerate(places):
        by_group.setdefault({"layers": step, "steps": layer, "grid": 0}[across], []).append(number)
    if all(len(group) < 2 for group in by_group.values()):
        what = {"layers": "layer", "steps": "step", "grid": "step and layer"}[across]
        raise SelectionError(f"there is one {what} only, and nothing to compare it with; choose more of them")
    at_step = {step: index for index, step in enumerate(steps)}
    at_layer = {layer: index for index, layer in enumerate(layers)}
    pairs: list[Pair] = []
    for group, numbers in enumerate(by_group.values()):
        for first, second in combinations_with_replacement(numbers, 2):
            (step, layer), (other_step, other_layer) = places[first], places[second]
            entry = {
                "layers": (at_step[step], at_layer[layer], at_layer[other_layer]),
                "steps": (at_layer[layer], at_step[step], at_step[other_step]),
                "grid": (at_step[step], at_layer[layer], at_step[other_step], at_layer[other_layer]),
            }[across]
            pairs.append(Pair(first, second, entry, group))
    dims = {
        "layers": {"step": steps, "layer": layers, "other_layer": layers},
        "steps": {"layer": layers, "step": steps, "other_step": steps},
        "grid": {"step": steps, "layer": layers, "other_step": steps, "other_layer": layers},
    }[across]
    return Design(
        across,
        (source,),
        features,
        tuple(pairs),
        _blocks(samples, seeds),
        {name: tuple(labels) for name, labels in dims.items()},
        tuple(notes),
    )


def twins(
    across: Across,
    first: Source,
    second: Source,
    samples: Sequence[str],
    seeds: Sequence[int],
    steps: Sequence[int],
    layers: Sequence[int],
    notes: Sequence[str] = (),
) -> Design:
    """Two sources of the same samples and seeds, at each step and layer."""
    return _by_place(across, (first, second), [(0, 1)], _blocks(samples, seeds), steps, layers, notes)


def between_seeds(
    store: Store,
    variant: str,
    samples: Sequence[str],
    seeds: Sequence[int],
    steps: Sequence[int],
    layers: Sequence[int],
    notes: Sequence[str] = (),
) -> Design:
    """Every two seeds of the same samples, at each step and layer.

    Raises:
        SelectionError: there is one seed only.
    """
    if len(seeds) < 2:
        raise SelectionError(
            f"seeds cannot be compared: there is seed {seeds[0]} only; choose others, or trace more"
        )
    sources = tuple(Source(store, variant, seed=seed) for seed in seeds)
    blocks = tuple(Block(sample, seeds[0]) for sample in samples)
    couples = list(combinations(range(len(seeds)), 2))
    return _by_place("seeds", sources, couples, blocks, steps, layers, notes)


def between_samples(
    store: Store,
    variant: str,
    samples: Sequence[str],
    seeds: Sequence[int],
    steps: Sequence[int],
    layers: Sequence[int],
    notes: Sequence[str] = (),
) -> Design:
    """Every two samples with the same seed, at each step and layer.

    Raises:
        SelectionError: there is one sample only.
    """
    if len(samples) < 2:
        raise SelectionError(f"samples cannot be compared: there is {samples[0]} only; choose others")
    sources = tuple(Source(store, variant, sample=sample) for sample in samples)
    blocks = tuple(Block(samples[0], seed) for seed in seeds)
    couples = list(combinations(range(len(samples)), 2))
    return _by_place("samples", sources, couples, blocks, steps, layers, notes)


def _by_place(
    across: Across,
    sources: tuple[Source, ...],
    couples: Sequence[tuple[int, int]],
    blocks: tuple[Block, ...],
    steps: Sequence[int],
    layers: Sequence[int],
    notes: Sequence[str],
) -> Design:
    features: list[Feature] = []
    pairs: list[Pair] = []
    places = list(product(enumerate(steps), enumerate(layers)))
    for group, ((at_step, step), (at_layer, layer)) in enumerate(places):
        start = len(features)
        features.extend(Feature(source, step, layer) for source in range(len(sources)))
        for one, other in couples:
            named = tuple(name for i in (one, other) if (name := sources[i].sample) is not None)
            pairs.append(Pair(start + one, start + other, (at_step, at_layer), group, named))
    dims = {"step": tuple(steps), "layer": tuple(layers)}
    return Design(across, sources, tuple(features), tuple(pairs), blocks, dims, tuple(notes))


def _blocks(samples: Sequence[str], seeds: Sequence[int]) -> tuple[Block, ...]:
    return tuple(Block(sample, seed) for sample in samples for seed in seeds)
