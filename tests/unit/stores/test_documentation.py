"""The examples of docs/store.md run, and read what was written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.stores.making import SIGMA, bits, latent, make_store, widen

DOCUMENT = Path(__file__).parents[3] / "docs/store.md"


def test_the_examples_with_h5py_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "runs/mazes", [("maze-3", 7)])
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    assert set(re.findall(r"^import (\w+)", "".join(examples), re.MULTILINE)) == {"h5py", "numpy"}
    found: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(DOCUMENT), "exec"), found)

    expected = widen(bits("maze-3", 7, 2, 20, "cond"))
    assert found["tokens"].dtype == np.float32
    assert np.array_equal(found["tokens"], expected)
    assert np.array_equal(found["tokens_again"], expected)
    assert np.allclose(found["clean_estimate"], latent(7, 2) - SIGMA[2] * latent(7, 2, 1))
    assert (found["prompt"], found["goal"]) == ("Go to the red goal.", "red")
