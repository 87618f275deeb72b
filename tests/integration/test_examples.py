"""The examples, run as a reader would run them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import cosinterp as ci
from cosinterp.models.model import Model
from probes.results.files import open_result

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LONGEST = 30
"""Lines of code that a reader takes in at once."""


def test_the_patching_example_finds_what_patching_must(
    narrow_maze_wan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a maze-wan that is quick."""
    model = ci.load(narrow_maze_wan, device="cpu")

    def load(name: str, *, device: str) -> Model:
        assert (name, device) == ("maze-wan", "cpu")
        return model

    monkeypatch.setattr(ci, "load", load)
    monkeypatch.setattr(sys, "argv", ["patching.py", "out"])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "patching.py"), run_name="__main__")
    assert "sufficiency: share of the distance" in capsys.readouterr().out
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
