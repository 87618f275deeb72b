"""A store exported as safetensors is loaded by torch, each tensor in its own dtype."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stores import StoreError
from stores.export import Wanted, export_store, plan_export
from tests.unit.stores import making_sites
from tests.unit.stores.making import SIGMA, latent
from tests.unit.stores.making_sites import (
    NUM_STEPS,
    SITES,
    make_store,
)
from tests.unit.stores.reading_exports import shards

RUNS = [("maze-3", 0), ("maze-3", 7), ("maze-4", 0)]
DTYPES = ("bf16", "fp16", "fp32", "fp8")


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_reads_every_tensor_in_its_dtype(tmp_path: Path, dtype: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype, "lz4")
    export_store(store, tmp_path / "out", format="safetensors", shard_size=20_000)
    found = shards(tmp_path / "out")
    types = {
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
        "fp32": torch.float32,
        "fp8": torch.float8_e4m3fn,
    }
    for (sample, seed), site in itertools.product(RUNS, SITES):
        for step, layer, branch in site.places():
            tensor = found[f"{sample}/{seed}/activations/{site.key}/{step}/{layer}/{branch}"]
            assert tensor.dtype == types[dtype]
            values = tensor.float()
            if dtype == "fp8":
                factors = found[f"{sample}/{seed}/factors/{site.key}/{step}/{layer}/{branch}"]
                values = (values.reshape(len(factors), -1) * factors[:, None]).reshape(site.shape)
            expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
            np.testing.assert_array_equal(values.numpy(), expected)


def test_everything_else_is_there_as_well(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    export_store(store, tmp_path / "out", format="safetensors")
    found = shards(tmp_path / "out")
    run = "maze-3/7"
    np.testing.assert_array_equal(found[f"{run}/schedule/sigma"].numpy(), SIGMA)
    for index in range(NUM_STEPS + 1):
        np.testing.assert_array_equal(found[f"{run}/latents/noisy/{index}"].numpy(), latent(7, index))
    assert found[f"{run}/truth/path"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (found[f"{run}/truth/rooms"].item(), found[f"{run}/truth/odd"].item()) == (7, True)
    assert found[f"{run}/video"].shape == (5, 8, 9, 3)
    assert found[f"{run}/condition/image"].dtype == torch.uint8
    np.testing.assert_array_equal(found[f"{run}/scales/mlp@tokens:5/token"].numpy(), making_sites.PLACES)
    np.testing.assert_array_equal(
        found[f"{run}/projections/self_attn@project:2"].numpy(), making_sites.PROJECTION
    )
    metadata = json.loads((tmp_path / "out/store.safetensors.index.json").read_text())["metadata"]
    described = {each["name"]: each for each in metadata["runs"]}[run]
    assert described["texts"] == {"condition/prompt": "Go to the red goal.", "truth/goal": "red"}
    assert (described["attributes"]["batch_seeds"], described["attributes"]["low"]) == ([7], "-inf")
    assert described["sites"]["mlp@tokens:5"]["layers"] == [1, 5]
    assert metadata["model"] == {"name": "tiny"}


def test_shards_stay_within_their_size(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS, "fp32")
    export_store(store, tmp_path / "out", format="safetensors", shard_size=6_000)
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 3
    assert files[0] == f"store-00001-of-{len(files):05d}.safetensors"
    for file in files:
        assert sum(tensor.nbytes for tensor in load_file(tmp_path / "out" / file).values()) <= 6_000


def test_a_tensor_larger_than_a_shard_has_one_to_itself(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], "fp32")
    export_store(store, tmp_path / "out", format="safetensors", shard_size=1)
    found = shards(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == len(found)


@pytest.mark.usefixtures("divided")
def test_codes_and_their_factors_are_in_one_file(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS, "fp8")
    for size in (1, 500, 1472, 3000):
        out = tmp_path / str(size)
        export_store(store, out, format="safetensors", shard_size=size)
        weight_map = json.loads((out / "store.safetensors.index.json").read_text())["weight_map"]
        factors = [name for name in weight_map if "/factors/" in name]
        assert len(factors) == len(RUNS) * sum(len(list(site.places())) for site in SITES)
        for name in factors:
            assert weight_map[name] == weight_map[name.replace("/factors/", "/activations/")]


def test_one_file_has_the_index_in_itself(tmp_path: Path) -> None:
    from safetensors import safe_open

    store = make_store(tmp_path / "s", RUNS)
    export_store(store, tmp_path / "out.safetensors", Wanted(sites=("resid",), seeds="7"))
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert "maze-3/7/activations/resid/0/0/cond" in file.keys()  # noqa: SIM118
        metadata = json.loads(file.metadata()["cosinterp-export"])
    assert [run["name"] for run in metadata["runs"]] == ["maze-3/7"]
    with pytest.raises(StoreError, match="too much for one file of 5.0 kB"):
        plan_export(store, tmp_path / "again.safetensors", shard_size=5_000)
