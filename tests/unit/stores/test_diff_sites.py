"""Whatever is stored of a site, and however, its differences are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores import diff_stores
from tests.unit.stores import making_sites

RUNS = [("maze-3", 0)]


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32", "fp8"])
def test_every_kind_of_site_is_compared(tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (making_sites.make_store(tmp_path / name, RUNS[:1], dtype) for name in "ab")
    assert diff_stores(a, b).equal
    making_sites.write_run(a, "maze-3", 1)
    plain = making_sites.stored

    def other(where: Any, site: making_sites.StoredSite, dtype: str) -> Any:
        bits, factors = plain(where, site, dtype)
        if where[2:] == (2, 5, "cond"):
            size = bits.dtype.itemsize
            sign = np.array(1 << (8 * size - 1), f"u{size}")
            bits = (bits.view(sign.dtype) ^ sign).view(bits.dtype)
        return bits, factors

    monkeypatch.setattr(making_sites, "stored", other)
    monkeypatch.setattr(making_sites, "PLACES", making_sites.PLACES[::-1].copy())
    monkeypatch.setattr(making_sites, "PROJECTION", making_sites.PROJECTION + 1)
    making_sites.write_run(b, "maze-3", 1)
    (run,) = diff_stores(a, b).different
    found = {difference.what: difference for difference in run.differences}
    assert found.keys() == {
        *(f"activations/{key}" for key in making_sites.KEYS),
        "scales/mlp@tokens:5/token",
        "projections/self_attn@project:2",
    }
    for site in making_sites.SITES:
        difference = found[f"activations/{site.key}"]
        assert (difference.differing, difference.place) == (1, "step 2, layer 5, cond")
        with a.run("maze-3", 1) as ours, b.run("maze-3", 1) as theirs:
            pair = [run.read(site.key, 2, 5, "cond") for run in (ours, theirs)]
        assert difference.largest == np.abs(pair[0].astype(np.float64) - pair[1]).max()


def test_factors_of_fp8_make_a_difference_and_compression_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = making_sites.make_store(tmp_path / "a", RUNS[:1], "fp8")
    b = making_sites.make_store(tmp_path / "b", RUNS[:1], "fp8", "zstd")
    found = diff_stores(a, b)
    assert found.settings == ("capture.compression: none in A, zstd in B",)
    assert found.different == ()
    plain = making_sites.stored

    def doubled(*given: Any) -> Any:
        codes, factors = plain(*given)
        return codes, None if factors is None else 2 * factors

    monkeypatch.setattr(making_sites, "stored", doubled)
    c = making_sites.make_store(tmp_path / "c", RUNS[:1], "fp8")
    (run,) = diff_stores(a, c).different
    assert {difference.what for difference in run.differences} == {
        f"activations/{key}" for key in making_sites.KEYS
    }
    assert diff_stores(a, c, quick=True).different == (run,)
