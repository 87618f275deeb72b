"""Similarity over a store, as a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from probes import statistics
from probes.results.provenance import provenance
from probes.results.result import Result
from probes.similarity.choosing import Asked, design_of
from probes.similarity.designs import Across, Design
from probes.similarity.dissimilarity import rsa_of_pairs
from probes.similarity.found import Found
from probes.similarity.intervals import JACKKNIFE, SHUFFLED, Shuffles, jackknife, offered
from probes.similarity.moments import LEAST_ROWS, Float64
from probes.similarity.rows import ROWS, TOKENS, Place, RowReader, Rows
from probes.similarity.rsa import AGREEMENTS, DISTANCES, Agreement, Distance
from probes.similarity.streaming import cka_of_pairs
from stores import SelectionError, Store, open_store
from stores.chosen_runs import SampleNames
from stores.filters import Seeds
from stores.layout import BASE
from stores.selection import Selection, compact

if TYPE_CHECKING:
    import xarray

Measure = Literal["cka", "rsa"]
MEASURES: tuple[str, ...] = get_args(Measure)
HOST_MEMORY = 2 * 2**30
"""Bytes that are held at once, unless told otherwise."""
_COLUMNS = 500
"""Entries whose bootstrap draws are held at once."""


def similarity(
    store: Store | Path | str,
    across: Across | None = None,
    *,
    measure: Measure = "cka",
    samples: SampleNames = None,
    seeds: Seeds = None,
    variant: str = BASE,
    other: Store | Path | str | None = None,
    other_variant: str | None = None,
    steps: Selection = "all",
    layers: Selection = "all",
    site: str = "resid",
    reduction: str | None = None,
    branch: str | None = None,
    rows: Rows = "tokens",
    tokens: int | Literal["all"] = TOKENS,
    shuffles: int = 1,
    distance: Distance = "correlation",
    agreement: Agreement = "spearman",
    seed: int = 0,
    host_memory: int = HOST_MEMORY,
    command: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """How alike representations are, between layers, steps, seeds, samples, variants or stores.

    Args:
        store: a store, or its folder.
        across: what is compared with what: "layers", "steps", "grid", "seeds", "samples", "variants" or
            "stores" (see `probes.similarity.designs`); None is "stores" if ``other`` is given, "variants" if
            ``other_variant`` is, else "layers".
        measure: "cka" (debiased, linear) or "rsa".
        samples, seeds, variant: which runs. All samples need the same seeds; what lacks some is left out.
        other, other_variant: what runs are compared with across stores and across variants.
        steps, layers: selections.
        site, reduction, branch: what is read of each run, as in `Run.read`.
        rows: "tokens", a row for each token of each run; "runs", a row for each run, the mean of its tokens.
        tokens: how many tokens of each run, drawn once by ``seed``, the same in all; or "all".
        shuffles: draws of each baseline; 0 for none.
        distance, agreement: of RSA, as in `probes.similarity.rsa.rsa`.
        seed: of all that is drawn at random.
        host_memory: bytes that may be held at once.
        command: the command line that repeats this, for the result to name.
        progress: called with (parts done, parts in all).

    Returns:
        A result (not saved) with a variable named after the measure, in [-1, 1], NaN where one side does not
        vary, over the dimensions of the comparison: (step, layer, other_layer), (layer, step, other_step),
        (step, layer, other_step, other_layer), or (step, layer). Beside it ``low`` and ``high`` (95 %), of
        CKA ``biased``, and ``baseline`` with the dimension ``shuffle`` first; ``rows``, ``runs`` and
        ``samples`` are the numbers of each that were compared.

    Raises:
        SelectionError: what is asked for is not there, or cannot be compared; says why.
        StoreError: a run cannot be read.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    second = other if isinstance(other, Store) or other is None else open_store(other)
    across = default_across(across, other, other_variant)
    _check(measure, rows, tokens, shuffles, distance, agreement)
    asked = Asked(across, samples, seeds, variant, steps, layers, other_variant, second)
    place = Place(site, reduction, branch)
    design = design_of(opened, asked, place)
    reader = RowReader(design, place, rows, None if tokens == "all" else tokens, seed)
    total = reader.count * len(design.blocks)
    if measure == "cka" and total < LEAST_ROWS:
        of = "one for each run" if reader.what == "run" else f"{reader.what}s of all runs"
        raise SelectionError(
            f"debiased CKA needs at least {LEAST_ROWS} rows, not {total} ({of}); "
            "choose more runs, or more tokens of each"
        )
    per_sample = len(design.blocks) // max(design.left_out, 1)
    kinds = offered(tuple(SHUFFLED), design.left_out, reader.count) if shuffles else ()
    drawn = Shuffles(kinds, shuffles, seed, max(design.left_out, 1), per_sample, reader.count)
    by_run = None
    if measure == "cka":
        found = cka_of_pairs(design, reader, drawn, host_memory, progress)
    else:
        found, by_run = rsa_of_pairs(design, reader, drawn, host_memory, distance, agreement, progress)
    dataset, notes = _dataset(design, reader, found, by_run, measure, seed)
    dataset.attrs |= {
        "across": across,
        "measure": measure,
        "site": reader.key,
        "branch": reader.branch,
        "tokens": reader.count,
        "tokens_available": reader.available,
        "row": reader.what,
        "shuffles": shuffles,
        "seed": seed,
        "first": _side(design, 0),
        "second": _side(design, len(design.sources) - 1),
    }
    if measure == "rsa":
        dataset.attrs |= {"distance": distance, "agreement": agreement}
    told: dict[str, Any] = {
        "across": across,
        "measure": measure,
        "samples": list(design.samples),
        "seeds": compact(design.seeds),
        "variant": variant,
        "other": None if second is None else str(second.path),
        "other_variant": design.sources[-1].variant if across in ("variants", "stores") else None,
        "steps": compact(dict.fromkeys(feature.step for feature in design.features)),
        "layers": compact(dict.fromkeys(feature.layer for feature in design.features)),
        "site": reader.key,
        "branch": reader.branch,
        "rows": rows,
        "tokens": tokens,
        "shuffles": shuffles,
        "distance": distance if measure == "rsa" else None,
        "agreement": agreement if measure == "rsa" else None,
        "seed": seed,
    }
    every_note = [*design.notes, *notes]
    dataset.attrs["notes"] = "\n".join(every_note)
    return Result(dataset, provenance("similarity", opened, told, command=command, notes=every_note))


def default_across(across: Across | None, other: object, other_variant: str | None) -> Across:
    """What is compared if ``across`` does not say: the two sides that are named, else layers."""
    if across is not None:
        return across
    return "stores" if other is not None else "variants" if other_variant is not None else "layers"


def _check(measure: str, rows: str, tokens: int | str, shuffles: int, distance: str, agreement: str) -> None:
    for what, given, known in (
        ("measure", measure, MEASURES),
        ("rows", rows, ROWS),
        ("distance", distance, DISTANCES),
        ("agreement", agreement, AGREEMENTS),
    ):
        if given not in known:
            raise SelectionError(f'{what} "{given}": there are {", ".join(known)}')
    if tokens != "all" and (not isinstance(tokens, int) or tokens < 1):
        raise SelectionError(f'tokens {tokens!r}: give a number from 1, or "all"')
    if shuffles < 0:
        raise SelectionError(f"shuffles {shuffles}: give a number from 0")


def _dataset(
    design: Design, reader: RowReader, found: Found, by_run: Float64 | None, measure: Measure, seed: int
) -> tuple[xarray.Dataset, list[str]]:
    import xarray as xr

    entries = _Entries(design)
    value = entries.mean(found.value)
    by_sample = design.across != "samples" and by_run is not None and reader.what != "run"
    if by_sample:
        assert by_run is not None
        low, high, method = _bootstrapped(entries.mean(by_run), design, seed)
    else:
        per_pair = found.value if by_run is None or reader.what == "run" else by_run.mean(axis=1)
        without = (
            entries.without_each(per_pair) if design.across == "samples" else entries.mean(found.without)
        )
        low, high = jackknife(value, without)
        method = JACKKNIFE if np.isfinite(low).any() else statistics.NO_INTERVAL
    variables: dict[str, Any] = {
        measure: entries.shaped(value),
        "low": entries.shaped(low),
        "high": entries.shaped(high),
    }
    if measure == "cka":
        variables["biased"] = entries.shaped(entries.mean(found.biased))
    if found.shuffled:
        baseline = [entries.shaped(entries.mean(draws.mean(axis=1))) for draws in found.shuffled.values()]
        variables["baseline"] = (
            ("shuffle", *design.dims),
            np.stack([values for _, values in baseline]),
        )
    variables["rows"] = reader.count * len(design.blocks)
    variables["runs"] = design.runs
    variables["samples"] = len(design.samples)
    coords: dict[str, Any] = {name: list(labels) for name, labels in design.dims.items()}
    if found.shuffled:
        coords["shuffle"] = list(found.shuffled)
    dataset = xr.Dataset(variables, coords, {"method": method, "level": statistics.LEVEL})
    return dataset, _remarks(design, value, entries)


def _remarks(design: Design, value: Float64, entries: _Entries) -> list[str]:
    notes = []
    unknown = int(np.isnan(entries.shaped(value)[1]).sum())
    if unknown:
        notes.append(
            f"NaN in {unknown} of {math.prod(map(len, design.dims.values()))} cells: "
            "one side does not vary there, or too few rows"
        )
    if len(design.samples) < 2:
        notes.append("one sample: no interval, and no baseline of exchanged samples")
    return notes


class _Entries:
    """Pairs put into the entries of the result."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._numbers: dict[tuple[int, ...], list[int]] = {}
        for number, pair in enumerate(design.pairs):
            self._numbers.setdefault(pair.entry, []).append(number)

    def mean(self, of_pairs: Float64) -> Float64:
        """The mean over the pairs of each entry: (entry, ...) of (pair, ...)."""
        return np.stack([of_pairs[numbers].mean(axis=0) for numbers in self._numbers.values()])

    def without_each(self, of_pairs: Float64) -> Float64:
        """Means over the pairs that a sample is not in: (entry, sample) of (pair,), NaN for none."""
        samples = self._design.samples
        found = np.full((len(self._numbers), len(samples)), np.nan)
        for entry, numbers in enumerate(self._numbers.values()):
            for at, sample in enumerate(samples):
                kept = [number for number in numbers if sample not in self._design.pairs[number].samples]
                if kept:
                    found[entry, at] = of_pairs[kept].mean()
        return found

    def shaped(self, of_entries: Float64) -> tuple[tuple[str, ...], Float64]:
        """Along the dimensions of the result; a map of places with one another is filled on both sides."""
        dims = self._design.dims
        filled = np.full([len(labels) for labels in dims.values()], np.nan)
        for entry, value in zip(self._numbers, of_entries, strict=True):
            filled[entry] = value
            if self._design.is_square:
                filled[_mirrored(entry)] = value
        return tuple(dims), filled


def _mirrored(entry: tuple[int, ...]) -> tuple[int, ...]:
    if len(entry) == 4:
        return (*entry[2:], *entry[:2])
    return entry[0], entry[2], entry[1]


def _bootstrapped(by_run: Float64, design: Design, seed: int) -> tuple[Float64, Float64, str]:
    """Bounds (entry,) of means over runs (entry, run), and how they were made."""
    low, high = np.full(len(by_run), np.nan), np.full(len(by_run), np.nan)
    samples: Sequence[str] = [block.sample for block in design.blocks]
    known = np.flatnonzero(np.isfinite(by_run).all(axis=1))
    methods: dict[str, None] = {}
    for start in range(0, len(known), _COLUMNS):
        part = known[start : start + _COLUMNS]
        for entry, estimate in zip(part, statistics.means(by_run[part].T, samples, seed=seed), strict=True):
            low[entry], high[entry] = max(estimate.low, -1.0), min(estimate.high, 1.0)
            methods[estimate.method] = None
    used = [method for method in methods if method != statistics.NO_INTERVAL]
    return low, high, ", or ".join(used) if used else statistics.NO_INTERVAL


def _side(design: Design, source: int) -> str:
    """What one side of the comparison is called."""
    found = design.sources[source]
    if design.across == "variants":
        return found.variant
    name = found.store.path.name
    return name if found.variant == BASE else f"{name} ({found.variant})"
