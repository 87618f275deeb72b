"""The examples of docs/store.md run, and read what was written."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

from stores.export import export_store
from tests.unit.stores import making_kinds
from tests.unit.stores.making import SIGMA, bits, latent, make_store, widen
from tests.unit.stores.making_kinds import Kind

DOCUMENT = Path(__file__).parents[3] / "docs/store.md"


def test_the_examples_with_h5py_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "runs/mazes", [("maze-3", 7)])
    reduced = Kind("bf16", reductions=("full", "project:8", "tokens:5"))
    eighth = Kind("fp8")
    for name, kind in (("reduced", reduced), ("eighth", eighth)):
        making_kinds.make_store(tmp_path / "runs" / name, kind, (("maze-3", 7),))
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 3
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

    full, projected, tokens = (
        making_kinds.slab("maze-3", 7, 0, 10, reduced, text).values for text in reduced.reductions
    )
    assert np.array_equal(found["one_token"], full[3, 5, 7])
    assert np.array_equal(found["projected"], projected)
    assert np.allclose(found["back"] @ making_kinds.projection(8), projected, atol=1e-5)
    assert np.array_equal(found["kept"], tokens)
    assert np.array_equal(found["places"], making_kinds.token_places(5))
    assert np.array_equal(found["from_fp8"], making_kinds.slab("maze-3", 7, 0, 10, eighth, "full").values)


def test_the_example_of_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = Kind("fp8")
    store = making_kinds.make_store(tmp_path / "s", kind, (("maze-3", 7),))
    export_store(store, tmp_path / "out", format="safetensors", shard_size=1)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(
        r"^    index = .*\n(?:    .*\n)+", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    found: dict[str, Any] = {"json": json, "Path": Path, "safetensors": safetensors}
    exec(compile(textwrap.dedent(example), str(DOCUMENT), "exec"), found)
    expected = making_kinds.slab("maze-3", 7, 2, 10, kind, "full").values
    assert np.array_equal(found["x"].numpy(), expected)
