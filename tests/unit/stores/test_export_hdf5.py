"""A store exported as one HDF5 file is read by h5py alone, and looks like the files of its runs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers the standard filters)
import numpy as np
import pytest

from stores.export import Wanted, export_store
from tests.unit.stores import making_sites
from tests.unit.stores.making_sites import (
    SITES,
    make_store,
    write_run,
)
from tests.unit.stores.reading_exports import group_names

RUNS = [("maze-3", 0), ("maze-3", 7), ("maze-4", 0)]
DTYPES = ("bf16", "fp16", "fp32", "fp8")


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_h5py_alone_reads_every_number(tmp_path: Path, dtype: str, compression: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype, compression)
    export_store(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert group_names(file) == ["maze-3/0", "maze-3/7", "maze-4/0"]
        for (sample, seed), site in itertools.product(RUNS, SITES):
            run = file[f"{sample}/{seed}"]
            stored = run[f"activations/{site.key}"]
            assert [dim.label for dim in stored.dims] == ["step", "layer", "branch", *site.axes]
            assert stored.id.get_type().get_size() == {"bf16": 2, "fp16": 2, "fp32": 4, "fp8": 1}[dtype]
            steps, layers, branches = (list(stored.dims[axis][0][()]) for axis in range(3))
            for step, layer, branch in site.places():
                index = steps.index(step), layers.index(layer), branches.index(branch.encode())
                found = stored[index].astype(np.float32)
                if dtype == "fp8":
                    factors = run[f"factors/{site.key}"][index]
                    found = (found.reshape(len(factors), -1) * factors[:, None]).reshape(site.shape)
                expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
                np.testing.assert_array_equal(found, expected)


def test_a_group_looks_like_the_file_of_a_run(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression="lz4")
    export_store(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file, h5py.File(store.path / "runs/maze-3/0.h5") as run:
        copy = file["maze-3/0"]
        assert dict(copy.attrs) == dict(run.attrs)
        ours, theirs = {}, {}
        for found, item in ((ours, copy), (theirs, run)):
            item.visititems(lambda name, member, found=found: found.update({name: member}))
        assert ours.keys() == theirs.keys()
        for name, original in theirs.items():
            if not isinstance(original, h5py.Dataset):
                continue
            assert ours[name].id.get_type() == original.id.get_type(), name
            assert (ours[name].shape, ours[name].chunks) == (original.shape, original.chunks), name
            np.testing.assert_array_equal(ours[name][()], original[()])
            assert ours[name].attrs.keys() == original.attrs.keys(), name
        assert file.attrs["format"] == "cosinterp-export"
        assert json.loads(file.attrs["capture"])["compression"] == "lz4"


@pytest.mark.usefixtures("divided")
def test_compressed_chunks_are_copied_as_they_are(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression="zstd")
    export_store(store, tmp_path / "out.h5", Wanted(layers="1,5"))
    with h5py.File(tmp_path / "out.h5") as file, h5py.File(store.path / "runs/maze-3/0.h5") as run:
        ours, theirs = (item["activations/resid"] for item in (file["maze-3/0"], run))
        assert ours.shape[1] == 2
        for index in range(ours.id.get_num_chunks()):
            offset = ours.id.get_chunk_info(index).chunk_offset
            there = (offset[0], offset[1] + 1, *offset[2:])
            assert ours.id.read_direct_chunk(offset) == theirs.id.read_direct_chunk(there)


def test_a_variant_has_a_group_of_its_own(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    write_run(store, "maze-3", 0, "patched")
    export_store(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert group_names(file) == ["maze-3/0", "maze-3/0.patched"]
        assert file["maze-3/0.patched"].attrs["variant"] == "patched"
