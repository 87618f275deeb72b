"""The tables of scene-wan's model card are what the raw outcomes say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import cosinterp.organism.scenes
from cosinterp.errors import UserError
from cosinterp.organism.markdown import BEGIN, END
from cosinterp.organism.scenes.card import main, read_outcomes, tables
from cosinterp.scorers import task_of
from probes.statistics import proportion

ROOT = Path(__file__).resolve().parents[4]
CARD = Path(cosinterp.organism.scenes.__file__).with_name("README.md")


def write(path: Path, scenes: int = 20) -> Path:
    """Outcomes of grounding in 2 steps: a quarter solved at the first, three quarters at the last."""
    task = task_of({"task": "grounding"})
    outcomes = np.zeros((2, scenes))
    outcomes[0, : scenes // 4] = 1
    outcomes[1, : scenes * 3 // 4] = 1
    arrays = {f"grounding/{metric.name}": outcomes for metric in task.metrics}
    arrays["grounding/about/count"] = np.arange(scenes) % 2 + 3
    arrays["computed"] = np.array("computed by hand")
    arrays["settings"] = np.array(json.dumps({"num_steps": 2, "guidance_scale": 2.0}))
    np.savez(path, **arrays)
    return path


def rows(text: str, heading: str) -> list[list[str]]:
    section = text.split(f"#### {heading}\n")[1].split("###")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_shares_and_intervals_are_those_of_the_outcomes(tmp_path):
    made = tables([read_outcomes(write(tmp_path / "a.npz"))])
    assert made.startswith("### grounding\n\nComputed by hand: 2 steps, guidance 2.\n")
    expected = proportion(np.repeat([1, 0], [15, 5]), list(range(20)))
    assert rows(made, "The final videos")[0] == [
        "solved", "0.750", f"{expected.low:.3f} to {expected.high:.3f}", "20"
    ]  # fmt: skip
    assert [row[:2] for row in rows(made, "The clean estimate by step")] == [["0", "0.250"], ["1", "0.750"]]
    assert [(row[0], row[-1]) for row in rows(made, "By the number of blocks")] == [("3", "10"), ("4", "10")]


def test_the_card_is_written_between_its_marks(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    outcomes = write(tmp_path / "a.npz")
    app = typer.Typer()
    app.command()(main)
    assert CliRunner().invoke(app, [str(outcomes), "--write", str(card)]).exit_code == 0
    text = card.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert tables([read_outcomes(outcomes)]) in text


def test_what_is_no_file_of_outcomes_is_named(tmp_path):
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, something=np.zeros(3))
    with pytest.raises(UserError, match="wrong.npz holds no outcomes"):
        read_outcomes(wrong)


def test_the_shipped_card_shows_the_shipped_outcomes():
    files = sorted((ROOT / "docs" / "measured").glob("scene-wan-cpu-*.npz"))
    assert len(files) == 2
    assert tables([read_outcomes(path) for path in files]) in CARD.read_text(encoding="utf-8")
