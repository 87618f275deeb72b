"""Export into safetensors: shards of many tensors, and an index of which tensor is where.

Each tensor is named by its place in the run's file, below the run's own name:

    maze-3/7/activations/resid@project:64/STEP/LAYER/BRANCH     one (step, layer, branch)
    maze-3/7/latents/noisy/STEP                                 one latent; likewise latents/prediction
    maze-3/7/schedule/sigma, maze-3/7/truth/path, ...           everything else that is an array or a number
    maze-3/7/factors/resid/STEP/LAYER/BRANCH                    of fp8: (groups,), see below

What is bf16 becomes BF16, and fp8 becomes F8_E4M3 with factors: the first axis of a slab is divided evenly
into as many groups as it has factors, and a number is code times the factor of its group. Text and the
attributes of runs are in the index, under ``metadata``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stores import layout
from stores.errors import StoreError
from stores.export.choice import ChosenRun, Copied
from stores.export.header import FORMAT, header
from stores.hdf5 import Reading
from stores.json_value import json_value
from stores.reader import Run
from stores.store import Store
from stores.tools.contents import contents_of
from stores.units import size_text

STEM = "store"
INDEX = f"{STEM}.safetensors.index.json"
SUFFIX = ".safetensors"

_TYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp8": "float8_e4m3fn", "uint8": "uint8"}


class Tensor(NamedTuple):
    """A tensor to be written; ``dtype`` as safetensors calls it."""

    name: str
    dtype: str
    array: npt.NDArray[Any]


# Tensors that are of no use without each other, and so are in one file.
Together = tuple[Tensor, ...]


@dataclass(frozen=True)
class SafetensorsExport:
    """As a folder of shards with an index, or as one file that has the index in its own metadata.

    Attributes:
        shard_size: bytes of a shard, and of what is in memory at a time.
        single: write one file.
    """

    shard_size: int
    single: bool

    def needed_bytes(self, runs: Sequence[ChosenRun]) -> int:
        """What the slabs will take; all else is small. Raises StoreError if that is too much for one file."""
        needed = sum(run.raw_bytes for run in runs)
        if self.single and needed > self.shard_size:
            raise StoreError(
                f"{size_text(needed)} are too much for one file of {size_text(self.shard_size)}; name a "
                f"folder (without {SUFFIX}) and --format safetensors, or give another --shard-size"
            )
        return needed

    def is_replaceable(self, path: Path) -> bool:
        """Whether such an export may replace ``path``: a file if it is one, else a folder that is one."""
        if self.single:
            return path.is_file()
        try:
            index = json.loads((path / INDEX).read_text(encoding="utf-8"))
            return index["metadata"]["format"] == FORMAT
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def write(self, store: Store, runs: Sequence[ChosenRun], out: Path, copied: Copied) -> None:
        """Writes ``out``, which is made.

        Raises:
            StoreError: a run is damaged, or the disk refuses.
            OSError: the disk refuses.
        """
        described: list[dict[str, Any]] = []
        tensors = (together for run in runs for together in _tensors(store, run, described, copied))
        if self.single:
            shard = _Shard([tensor for together in tensors for tensor in together])
            text = json.dumps(_metadata(store, described, shard.size), allow_nan=False)
            shard.write(out, {"format": "pt", FORMAT: text})
            return
        out.mkdir()
        shards: list[_Names] = []
        for shard in _shards(tensors, self.shard_size):
            path = out / f"{len(shards)}{SUFFIX}"
            # What is called pt is loaded by all that load PyTorch's.
            shard.write(path, {"format": "pt"})
            shards.append(_Names(path, [tensor.name for tensor in shard.tensors], shard.size))
        weight_map: dict[str, str] = {}
        for number, (path, names, _) in enumerate(shards, start=1):
            renamed = path.rename(out / f"{STEM}-{number:05d}-of-{len(shards):05d}{SUFFIX}")
            weight_map |= dict.fromkeys(names, renamed.name)
        total = sum(shard.size for shard in shards)
        index = {"metadata": _metadata(store, described, total), "weight_map": weight_map}
        with (out / INDEX).open("x", encoding="utf-8") as file:
            json.dump(index, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")


class _Names(NamedTuple):
    path: Path
    names: list[str]
    size: int


@dataclass
class _Shard:
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(tensor.array.nbytes for tensor in self.tensors)

    def write(self, path: Path, metadata: dict[str, str]) -> None:
        from safetensors import SafetensorError, TensorSpec, serialize_file

        specs = {
            name: TensorSpec(
                dtype=dtype,
                shape=array.shape,
                data_ptr=array.ctypes.data,
                data_len=array.nbytes,
            )
            for name, dtype, array in self.tensors
        }
        path.touch()
        mode = path.stat().st_mode
        try:
            serialize_file(specs, path, metadata)
            # It puts a file there that is its owner's alone.
            path.chmod(mode)
        except SafetensorError as error:
            raise StoreError(f"{path}: cannot be written: {error}") from error


def _shards(tensors: Iterator[Together], shard_size: int) -> Iterator[_Shard]:
    """Tensors in their order, as many as fit into ``shard_size``; what belongs together at least."""
    shard, size = _Shard(), 0
    for together in tensors:
        needed = sum(tensor.array.nbytes for tensor in together)
        if shard.tensors and size + needed > shard_size:
            yield shard
            shard, size = _Shard(), 0
        shard.tensors += together
        size += needed
    if shard.tensors:
        yield shard


def _tensors(
    store: Store, chosen: ChosenRun, described: list[dict[str, Any]], copied: Copied
) -> Iterator[Together]:
    """The tensors of a run; adds what is said of it to ``described``."""
    with store.run(*chosen.entry.key) as run:
        texts: dict[str, Any] = {}
        for path, value in contents_of(run).values.items():
            array = np.asarray(value)
            if array.dtype.kind == "U":
                texts[path] = array.tolist()
            elif chosen.takes(path):
                yield (Tensor(f"{chosen.name}/{path}", array.dtype.name, array),)
        for slab, *factors in _slabs(run, chosen):
            yield slab, *factors
            copied(chosen.entry.file, slab.array.nbytes)
        described.append(_description(run, chosen, texts))


def _slabs(run: Run, chosen: ChosenRun) -> Iterator[Together]:
    """Each slab, with its factors if it has any."""
    for path, slabs in run.slabs():
        if path in chosen.slabs:
            for index in np.ndindex(*slabs.index_shape):
                with Reading(run.path):
                    slab = slabs.read(index)
                name = "/".join(map(str, (chosen.name, path, *index)))
                yield (Tensor(name, _TYPES[slabs.dtype], slab),)
    for site in chosen.sites:
        key = site.info.key
        for step, layer, branch in site.places():
            place = f"{step}/{layer}/{branch}"
            slab = run.read(key, step, layer, branch, raw=True)
            codes = Tensor(f"{chosen.name}/{site.path}/{place}", _TYPES[site.info.dtype], slab)
            factors = run.factors(key, step, layer, branch)
            if factors is None:
                yield (codes,)
            else:
                name = f"{chosen.name}/{layout.factors_path(site.path)}/{place}"
                yield codes, Tensor(name, "float32", np.ascontiguousarray(factors))


def _description(run: Run, chosen: ChosenRun, texts: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": chosen.name,
        "sample": run.sample,
        "seed": run.seed,
        "variant": run.variant,
        "attributes": json_value(run.attrs),
        "texts": texts,
        "sites": {
            site.info.key: {
                "axes": site.info.axes,
                "dtype": site.info.dtype,
                "grid": site.info.grid,
                "channels": site.info.channels,
                "steps": site.steps,
                "layers": site.layers,
                "branches": site.branches,
            }
            for site in chosen.sites
        },
    }


def _metadata(store: Store, described: list[dict[str, Any]], total: int) -> dict[str, Any]:
    return {"total_size": total, **json_value(header(store)), "runs": described}
