"""Reading what was exported, by nothing but the library of its format."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h5py
import torch
import xarray
from safetensors.torch import load_file


def group_names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(lambda name: names.append(name) if name.count("/") == 1 else None)
    return sorted(names)


def shards(folder: Path) -> dict[str, torch.Tensor]:
    index = json.loads((folder / "store.safetensors.index.json").read_text())
    found: dict[str, torch.Tensor] = {}
    for file in sorted(set(index["weight_map"].values())):
        loaded = load_file(folder / file)
        assert {name for name, place in index["weight_map"].items() if place == file} == loaded.keys()
        found |= loaded
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in found.values())
    return found


def opened(path: Path, group: str | None = None) -> xarray.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xarray.open_zarr(path, group=group, consolidated=False)
