"""The model card's tables are what the raw outcomes say."""

import json
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import cosinterp.organism
from cosinterp.errors import UserError
from cosinterp.organism.card import main, read_outcomes, tables
from cosinterp.organism.markdown import BEGIN, END
from cosinterp.organism.measures import Measure
from probes import statistics
from probes.statistics import proportion

ROOT = Path(__file__).resolve().parents[3]
CARD = Path(cosinterp.organism.__file__).with_name("README.md")


def write(path, measure, solved, drawn=None, computed="computed by hand"):
    """Outcomes where every solved attempt is valid and named, and nothing else is."""
    arrays = {
        "computed": np.array(computed),
        f"{measure.name}/measure": np.array(json.dumps(asdict(measure))),
        f"{measure.name}/path_length": np.arange(solved.shape[1]) % 40 + 7,
    }
    arrays |= {f"{measure.name}/{key}": solved for key in ("solved", "valid", "named")}
    if drawn is not None:
        arrays[f"{measure.name}/drawn"] = np.packbits(drawn, axis=-1)
    np.savez(path, **arrays)
    return path


def rows(text, heading):
    section = text.split(f"#### {heading}\n")[1].split("###")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_shares_and_intervals_are_those_of_the_outcomes(tmp_path):
    solved = np.zeros((3, 40), dtype=bool)
    solved[1, :10], solved[2, :30] = True, True
    measure = Measure("default", 40, 7, 3, 2.0, each_step=True)
    made = tables(read_outcomes([write(tmp_path / "a.npz", measure, solved)]))
    expected = proportion(solved[-1], list(range(40)))
    first = rows(made, "At the default settings")[0]
    assert first[1:] == ["0.750", f"{expected.low:.3f} to {expected.high:.3f}", "40"]
    assert [row[1] for row in rows(made, "The clean estimate by step")] == ["0.000", "0.250", "0.750"]
    lengths = rows(made, "By path length")
    assert sum(int(row[-1]) for row in lengths) == 40
    assert made.startswith("### Computed by hand\n")


def test_seeds_that_draw_the_same_are_not_apart_and_others_are(tmp_path):
    mazes, seeds = 12, 4
    drawn = np.zeros((2, mazes * seeds, 4, 8), dtype=bool)
    for attempt in range(mazes * seeds):
        drawn[0, attempt, attempt % seeds, :] = True
        drawn[1, attempt, 0, :] = True
    solved = np.zeros((2, mazes * seeds), dtype=bool)
    solved[1, ::seeds] = True
    measure = Measure("seeds", mazes, 7, 2, 2.0, noise_seeds=seeds, each_step=True)
    made = tables(read_outcomes([write(tmp_path / "a.npz", measure, solved, drawn)]))
    by_step = rows(made, "4 seeds of one maze, by step")
    assert [row[3] for row in by_step[:2]] == ["1.000", "0.000"]
    assert [row[5] for row in by_step[:2]] == ["4.000", "1.000"]
    assert [row[1] for row in by_step[4:]] == ["0.250", "1.000", "0.000"]


def test_the_shipped_card_is_made_from_the_shipped_outcomes(monkeypatch):
    """With the draws of so many samples made once for all tables: the same seed draws the same."""
    draw = statistics._draw_weights
    monkeypatch.setattr(statistics, "_draw_weights", cache(lambda *asked: list(draw(*asked))))
    measured = sorted((ROOT / "docs" / "measured").glob("maze-wan-*.npz"))
    assert measured
    text = CARD.read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0].strip() == tables(read_outcomes(measured)).strip()


def test_writing_replaces_the_tables_and_nothing_else(tmp_path):
    outcomes = write(tmp_path / "a.npz", Measure("default", 20, 7, 1, 2.0), np.ones((1, 20), dtype=bool))
    card = tmp_path / "card.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main([outcomes], card)
    written = card.read_text()
    assert re.match(rf"before\n{BEGIN}\n.*At the default settings.*{END}\nafter\n$", written, re.DOTALL)
    assert "old" not in written
    main([outcomes], card)
    assert card.read_text() == written


def test_what_is_no_outcome_or_comes_twice_is_said(tmp_path):
    outcomes = write(tmp_path / "a.npz", Measure("default", 20, 7, 1, 2.0), np.ones((1, 20), dtype=bool))
    with pytest.raises(UserError, match="in another file too"):
        read_outcomes([outcomes, outcomes])
    (tmp_path / "b.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="holds no outcomes"):
        read_outcomes([tmp_path / "b.npz"])
    (tmp_path / "card.md").write_text("no marks")
    with pytest.raises(UserError, match="has no marks"):
        main([outcomes], tmp_path / "card.md")
