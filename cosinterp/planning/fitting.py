"""Whether a trace fits on its disk, and what would fit if it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, product
from pathlib import Path
from typing import Any

from cosinterp.errors import TraceError
from cosinterp.planning.estimate import Kept, RunShape, total_bytes
from cosinterp.planning.plan import TracePlan
from stores import dtypes
from stores.files import free_space
from stores.layout import STORE_FILE
from stores.reduction import FULL
from stores.selection import compact
from stores.units import count_text, size_text

Runs = Sequence[tuple[str, int]]

_MOST_COMPONENTS = 64
_WIDEST = 56


@dataclass(frozen=True)
class Way:
    """Flags that make a trace fit when added to its own, and the bytes, at most, that it takes then."""

    flags: str
    size: int


def check_space(path: Path, plan: TracePlan, todo: Runs) -> None:
    """Compare the bytes that the runs ``todo`` of a plan need with those free where the store is, or will be.

    Compressed runs count as if they were not, since nobody knows beforehand how small they get.

    Raises:
        TraceError: too little is free; says both numbers, and which selections would fit.
    """
    place, free = free_space(path)
    needed = plan.bytes_of(todo)
    if needed <= free:
        return
    most = "at most " if plan.compression != "none" else ""
    sizes = [size_text(needed), size_text(free)]
    if sizes[0] == sizes[1]:
        sizes = [f"{needed:,} bytes", f"{free:,}"]
    runs = count_text(len(todo), "run")
    refusal = f"no space: {runs} would take {most}{sizes[0]}, {place} has {sizes[1]} free"
    ways = ways_that_fit(path, plan, todo, free)
    if not ways:
        why = "its store takes no other selection" if _settled(path) else "no smaller selection fits either"
        fewer = "trace fewer runs, or " if len(todo) > 1 else ""
        raise TraceError(f"{refusal}, and {why}; {fewer}use another disk")
    width = min(_WIDEST, max(len(way.flags) for way in ways))
    lines = [f"  {way.flags:<{width}}  {size_text(way.size)}" for way in ways]
    raise TraceError("\n".join([f"{refusal}; added to your flags, each of these would make it fit:", *lines]))


def ways_that_fit(path: Path, plan: TracePlan, todo: Runs, free: int) -> list[Way]:
    """How the runs ``todo`` of a plan could be brought down to ``free`` bytes.

    The mildest change of each kind that is enough by itself: fewer steps, layers or branches, a reduction, a
    smaller dtype, no video. If none is: of the combinations of as few kinds as possible the one that keeps
    most. Then the runs that would fit as they are planned: those of the first seeds, or samples; these alone
    if there is a store at ``path`` already.
    """
    fewer = _fewer_runs(plan, todo, free)
    return fewer if _settled(path) else [*_less_of_each(plan, todo, free), *fewer]


def _settled(path: Path) -> bool:
    """Whether there is a store already, which says what each of its runs keeps."""
    return (path / STORE_FILE).exists()


def _less_of_each(plan: TracePlan, todo: Runs, free: int) -> list[Way]:
    shapes = plan.shapes(todo)
    kinds = list(_kinds(plan))
    for together in range(1, len(kinds) + 1):
        ways = [
            way
            for chosen in combinations(kinds, together)
            if (way := _mildest(plan.kept, chosen, shapes, free)) is not None
        ]
        if ways:
            return ways if together == 1 else [max(ways, key=lambda way: way.size)]
    return []


@dataclass(frozen=True)
class _Change:
    """Flags that keep less, and the fields of `Kept` that they set."""

    flags: str
    fields: dict[str, Any]


def _kinds(plan: TracePlan) -> Iterator[list[_Change]]:
    """The changes of each kind, the mildest first."""
    yield [_Change(f"--save-steps {compact(steps)}", {"steps": steps}) for steps in _thinned(plan.steps)]
    yield _fewer_layers(plan)
    if len(plan.branches) > 1:
        yield [_Change("--branches cond", {"branches": ("cond",)})]
    full = [site for site, texts in plan.reductions.items() if texts == (FULL,)]
    channels = plan.samples[0].shape.channels
    if full and channels > 1:
        yield [_reduced(plan, full, f"project:{_components(channels)}")]
    if full:
        yield [_reduced(plan, full, "frames")]
    item = dtypes.memory_type(plan.dtype).itemsize
    for name in ("bf16", "fp8"):
        if dtypes.memory_type(name).itemsize < item:
            yield [_Change(f"--store-dtype {name}", {"dtype": name})]
    if plan.save_video:
        yield [_Change("--no-video", {"save_video": False})]


def _fewer_layers(plan: TracePlan) -> list[_Change]:
    """Every second layer, every third and so on, as long as each site keeps one."""
    changes = []
    for layers in _thinned(sorted(set().union(*plan.layers.values()))):
        by_site = {
            site: tuple(layer for layer in layers if layer in kept) for site, kept in plan.layers.items()
        }
        if all(by_site.values()):
            changes.append(_Change(f"--layers {compact(layers)}", {"layers": by_site}))
    return changes


def _reduced(plan: TracePlan, sites: Sequence[str], reduction: str) -> _Change:
    everywhere = len(sites) == len(plan.reductions)
    named = [reduction] if everywhere else [f"{site}={reduction}" for site in sites]
    reductions = {site: (reduction,) if site in sites else texts for site, texts in plan.reductions.items()}
    return _Change(" ".join(f"--reduce {text}" for text in named), {"reductions": reductions})


def _components(channels: int) -> int:
    """The largest power of two that makes a token smaller by half or more, and at most 64."""
    return min(_MOST_COMPONENTS, 1 << (channels.bit_length() - 2))


def _thinned(numbers: Sequence[int]) -> list[tuple[int, ...]]:
    """Every second of ``numbers``, every third and so on, two at least; the furthest apart of as many."""
    by_count: dict[int, tuple[int, ...]] = {}
    for stride in range(2, len(numbers)):
        thinned = tuple(numbers[::stride])
        by_count[len(thinned)] = thinned
    return list(by_count.values())


def _mildest(
    kept: Kept, kinds: Sequence[list[_Change]], shapes: Mapping[RunShape, int], free: int
) -> Way | None:
    """Of the ways to change one of each kind the one that keeps most and fits; None if none does."""
    best: Way | None = None
    for changes in product(*kinds):
        fields = {name: value for change in changes for name, value in change.fields.items()}
        if len(fields) < len(changes):
            # Two kinds set the same field, such as two reductions.
            continue
        size = total_bytes(replace(kept, **fields), shapes)
        if size <= free and (best is None or size > best.size):
            best = Way(" ".join(change.flags for change in changes), size)
    return best


def _fewer_runs(plan: TracePlan, todo: Runs, free: int) -> list[Way]:
    """The first seeds of all samples, and the first samples with all seeds, that fit."""
    sizes = {planned.sample.name: plan.run_bytes(planned) for planned in plan.samples}
    by_seed, by_sample = Counter[int](), Counter[str]()
    for sample, seed in todo:
        by_seed[seed] += sizes[sample]
        by_sample[sample] += sizes[sample]
    ways = []
    for flag, sizes_of, text in (
        ("--seeds", [by_seed[seed] for seed in plan.seeds], lambda count: compact(plan.seeds[:count])),
        ("--limit", [by_sample[planned.sample.name] for planned in plan.samples], str),
    ):
        fitting = [size for size in accumulate(sizes_of) if size <= free][: len(sizes_of) - 1]
        if fitting and fitting[-1]:
            ways.append(Way(f"{flag} {text(len(fitting))}", fitting[-1]))
    return ways
