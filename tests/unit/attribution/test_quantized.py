"""Quantised denoisers: gradients go through them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cosinterp as ci
from cosinterp.attribution import Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.tiny import build

Pair = Callable[..., tuple[Side, Side]]


@pytest.mark.parametrize("name", ["torchao-int8", "torchao-fp8"])
def test_what_is_attributed_is_nearly_the_same(
    name: str, tiny: Callable[[str], tuple[FamilyRow, Model]], pair: Pair, tmp_path: Path
) -> None:
    pytest.importorskip("torchao")
    row, _ = tiny("Wan2.1 T2V")
    folder = build("wan2.1-t2v", tmp_path / "model")
    found = []
    for quantize in (None, name):
        model = ci.load(folder, device="cpu", dtype="bf16", quantize=quantize)
        made = attribute(model, *pair(row, model), 0, points=1)
        found.append(np.stack([made.attribution, made.attribution_ig]))
    plain, quantised = found
    assert np.abs(plain).min() > 0
    assert 0 < np.abs(quantised - plain).max() < 0.1 * np.abs(plain).max()
