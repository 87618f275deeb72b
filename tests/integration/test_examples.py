"""The examples, run as a reader would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from probes.results.files import open_result

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LONGEST = 30
"""Lines of code that a reader takes in at once."""


def test_the_patching_example_finds_what_patching_must(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "patching.py", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sufficiency: share of the distance" in done.stdout
    assert (tmp_path / "out" / "patching.png").stat().st_size > 10_000
    found = open_result(tmp_path / "out" / "store" / "results" / "patch.nc")
    assert not found["error"].values.any()
    plain = found.sel(patch=found["control"] == "none")
    at = (plain["first_step"] == 0) & (plain["layer"] == 8)
    # Both runs begin with the same noise, so the last layer of step 0 is all that the donor does there.
    assert plain["x0_recovered"].values[at] == pytest.approx(1, abs=1e-5)
    identity = found.sel(patch=found["control"] == "identity")
    assert (identity["x0_relative"].values == 0).all()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= LONGEST
