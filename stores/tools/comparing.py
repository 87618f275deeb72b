"""What differs between two runs, down to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stores import dtypes, layout
from stores.flat import differences
from stores.hdf5 import Reading
from stores.reader import Run
from stores.selection import compact
from stores.slabs.reader import SlabReader
from stores.tools.contents import contents_of
from stores.units import count_text

Array = npt.NDArray[Any]

# So many numbers are widened to float64 at once, however large a slab is.
_PIECE = 2**20
_LONGEST = 60


@dataclass(frozen=True)
class Difference:
    """Something in which two runs, A and B, differ.

    Attributes:
        what: ``attribute NAME``, or a dataset's path in the run's file, as ``activations/resid``.
        how: what differs, in words.
        differing: how many slabs differ; 0 if ``what`` has no slabs, or none that could be compared.
        compared: how many slabs were compared.
        largest: the largest absolute difference; infinite where a number differs from NaN or an infinity;
            None where nothing could be subtracted.
        place: where that is, as ``step 3, layer 20, cond``.
    """

    what: str
    how: str
    differing: int = 0
    compared: int = 0
    largest: float | None = None
    place: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.how}"


def diff_runs(
    a: Run,
    b: Run,
    tolerance: float = 0.0,
    compared: Callable[[int], object] | None = None,
    known: Collection[str] = (),
    trust: bool = False,
) -> tuple[Difference, ...]:
    """Everything in which two runs differ but when they were finished and how their files are laid out.

    Activations are compared at the steps, layers and branches that both have.

    Args:
        tolerance: the largest absolute difference of numbers that counts as equal. 0: bit for bit.
        compared: called now and then with the bytes of ``a`` compared so far.
        known: lines about attributes (``key: x in A, y in B``) that need not be said again.
        trust: take slabs for equal if their checksums in the files are, without reading them.

    Raises:
        StoreError: a file is damaged.
    """
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if compared is not None:
            compared(done)

    ours, theirs = contents_of(a), contents_of(b)
    trusted = set(ours.digests.items() & theirs.digests.items()) if trust else set()
    pair = _Runs(a, b, tolerance, count, frozenset(path for path, _ in trusted))
    return (
        *_attributes(ours.attributes, theirs.attributes, known),
        *_values(ours.values, theirs.values, tolerance),
        *_latents_and_video(pair),
        *_sites(pair),
    )


class _Runs(NamedTuple):
    """Two runs whose slabs are to be compared, all but those of the paths in ``trusted``."""

    a: Run
    b: Run
    tolerance: float
    count: Callable[[int], object]
    trusted: frozenset[str]


class _SlabPair(NamedTuple):
    """Two slabs of one place; ``dtype`` is that of the store if they are raw."""

    place: str
    a: Array
    b: Array
    dtype: str = ""


def _attributes(ours: dict[str, Any], theirs: dict[str, Any], known: Collection[str]) -> Iterator[Difference]:
    for key, here, there in differences(ours, theirs):
        if f"{key}: {here} in A, {there} in B" not in known:
            yield Difference(f"attribute {key}", _both(here, there))


def _values(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> Iterator[Difference]:
    for path in [*ours, *(path for path in theirs if path not in ours)]:
        if path not in ours or path not in theirs:
            yield Difference(path, _only(path in ours))
            continue
        x, y = np.asarray(ours[path]), np.asarray(theirs[path])
        if x.dtype.kind == "U" or y.dtype.kind == "U":
            if not np.array_equal(x, y):
                yield Difference(path, _both(*map(str, (ours[path], theirs[path]))))
        elif x.shape != y.shape:
            yield Difference(path, f"shape {_both(_shape(x.shape), _shape(y.shape))}")
        elif x.dtype != y.dtype:
            yield Difference(path, _both(x.dtype.name, y.dtype.name))
        elif (largest := _largest(x, y, tolerance)) is not None:
            how = _both(str(x), str(y)) if x.ndim == 0 else f"differs, most by {largest:.3g}"
            yield Difference(path, how, largest=largest)


def _latents_and_video(pair: _Runs) -> Iterator[Difference]:
    ours, theirs = (
        {path: slabs for path, slabs in run.slabs() if not path.startswith(f"{layout.ACTIVATIONS}/")}
        for run in (pair.a, pair.b)
    )
    for path in [*ours, *(path for path in theirs if path not in ours)]:
        if path not in ours or path not in theirs:
            yield Difference(path, _only(path in ours))
            continue
        if path in pair.trusted:
            continue
        x, y = ours[path], theirs[path]
        shapes = [(*slabs.index_shape, *slabs.slab_shape) for slabs in (x, y)]
        if shapes[0] != shapes[1]:
            yield Difference(path, f"shape {_both(*map(_shape, shapes))}")
            continue
        pairs = (
            _SlabPair(f"step {index[0]}" if index else "", _read(pair.a, x, index), _read(pair.b, y, index))
            for index in np.ndindex(*x.index_shape)
        )
        yield from _slabs(path, pairs, pair)


def _read(run: Run, slabs: SlabReader, index: tuple[int, ...]) -> Array:
    with Reading(run.path):
        return slabs.read(index)


def _sites(pair: _Runs) -> Iterator[Difference]:
    ours, theirs = pair.a.sites, pair.b.sites
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        path = f"{layout.ACTIVATIONS}/{key}"
        if key not in ours or key not in theirs:
            yield Difference(path, _only(key in ours))
            continue
        x, y = ours[key], theirs[key]
        for what in ("steps", "layers", "branches", "grid", "channels", "dtype"):
            here, there = getattr(x, what), getattr(y, what)
            if here != there:
                shown = map(_shape if what == "grid" else _shown, (here, there))
                yield Difference(path, f"{what} {_both(*shown)}")
        if x.shape == y.shape and path not in pair.trusted:
            yield from _slabs(path, _site_pairs(pair.a, pair.b, key), pair)


def _site_pairs(a: Run, b: Run, key: str) -> Iterator[_SlabPair]:
    x, y = a.sites[key], b.sites[key]
    # The codes of fp8 mean nothing without their factors.
    raw = x.dtype == y.dtype != "fp8"
    for step, layer, branch in product(x.steps, x.layers, x.branches):
        if step in y.steps and layer in y.layers and branch in y.branches:
            ours, theirs = (run.read(key, step, layer, branch, raw=raw) for run in (a, b))
            place = f"step {step}, layer {layer}, {branch}"
            yield _SlabPair(place, ours, theirs, x.dtype if raw else "")


def _slabs(path: str, slabs: Iterable[_SlabPair], pair: _Runs) -> Iterator[Difference]:
    compared, differing, worst, place = 0, 0, -1.0, ""
    for here in slabs:
        largest = _largest(here.a, here.b, pair.tolerance, here.dtype)
        compared += 1
        if largest is not None:
            differing += 1
            if largest > worst:
                worst, place = largest, here.place
        pair.count(here.a.nbytes)
    if differing:
        how = f"{differing} of {count_text(compared, 'slab')} differ, most by {worst:.3g}"
        yield Difference(path, how + (f" at {place}" if place else ""), differing, compared, worst, place)


def _largest(a: Array, b: Array, tolerance: float, dtype: str = "") -> float | None:
    """The largest absolute difference of two arrays of one shape; None if they count as equal.

    Args:
        dtype: what their bits mean, where numpy has no such type: "bf16".
    """
    a, b = (np.ascontiguousarray(each).reshape(-1) for each in (a, b))
    if a.dtype == b.dtype and np.array_equal(_bits(a), _bits(b)):
        return None
    largest = 0.0
    for start in range(0, a.size, _PIECE):
        x, y = (_float64(each[start : start + _PIECE], dtype) for each in (a, b))
        with np.errstate(invalid="ignore"):
            difference = np.abs(x - y)
        # Infinity less infinity is NaN as well, and no difference.
        difference[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
        largest = max(largest, float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max()))
    return largest if largest > tolerance or tolerance == 0 else None


def _bits(array: Array) -> Array:
    return array.view(f"u{array.dtype.itemsize}")


def _float64(bits: Array, dtype: str) -> npt.NDArray[np.float64]:
    return (dtypes.to_float32(bits, dtype) if dtype else bits).astype(np.float64)


def _both(ours: str, theirs: str) -> str:
    return f"{_short(ours)} in A, {_short(theirs)} in B"


def _only(in_a: bool) -> str:
    return f"only in {'A' if in_a else 'B'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single value"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return compact(value) if isinstance(value[0], int) else "+".join(value)
    return str(value)
