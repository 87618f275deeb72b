"""Every family on a GPU, in the precision that is used there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import cosinterp as ci
from cosinterp.verification import verify
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_verify_passes_on_a_gpu(row: FamilyRow, dtype: str, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        row.build().save_pretrained(tmp_path / "model")
    model = ci.load(tmp_path / "model", device="cuda", dtype=dtype)
    failed = [check for check in verify(model, row.sample(), **row.settings) if not check.passed]
    assert failed == []
