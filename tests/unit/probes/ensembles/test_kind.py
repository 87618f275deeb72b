"""Comparisons of ensembles put themselves into words, a table and figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.ensembles import GAIN, NOT_TOLD, compare
from probes.results.result import Result
from tests.unit.probes.ensembles.planted import RIGHT, plant


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Twenty samples in two groups: one seed of three is right; of the ensemble all but one are."""
    names = [f"maze-{number:02d}" for number in range(20)]
    base = {
        name: {seed: RIGHT if seed == number % 3 else f"wrong {seed}" for seed in range(3)}
        for number, name in enumerate(names)
    }
    merged = {name: {0: "wrong 0" if number == 4 else RIGHT} for number, name in enumerate(names)}
    same = {name: {0: base[name][0]} for name in names}
    truths = {name: {"goal": "red" if number < 8 else "blue"} for number, name in enumerate(names)}
    store = plant(
        tmp_path_factory.mktemp("kind") / "store",
        base,
        {"merged": (merged, (0, 1, 2), 12), "same": (same, (0, 1, 2), 27)},
        truths=truths,
    )
    made = compare(store, variants=["merged", "same"], by="goal", command="cosinterp compare")
    # As it is read from a file, not only as it was made.
    return made.save(store.path, "ensemble")


def test_the_summary_says_of_each_variant_what_it_gains_at_equal_cost(result: Result) -> None:
    first, merged, turns, same, *rest = result.summary()
    assert first.startswith("solved, task maze, 20 samples, 3 seeds of each: single seed 0.333 [")
    assert first.endswith("at 12 evaluations of the denoiser.")
    assert merged.startswith("merged (merged of 3): 0.950 [")
    assert "at 12 evaluations, +0.617 [" in merged
    assert f"; {GAIN}: its cost pays for one seed." in merged
    assert "for 2 variants together" in merged
    assert "(12.7 and 0.333 of 20 samples)" in turns
    assert f"; {NOT_TOLD}: its cost pays for 2.25 seeds, " in same
    assert "from majority of 2.25 (p = " in same
    text = "\n".join(rest)
    assert "At 36 evaluations: best of 3 0.333 [" in text
    assert "chosen by agreement, without the truth" in text
    assert "goal blue (n = 12): single seed 0.333 [" in text
    assert "n = 20 samples; 95% interval: Wilson" in text
    assert "best also by luck" in text


def test_the_table_has_a_row_for_each_approach_difference_and_number_of_seeds(result: Result) -> None:
    table = result.table()
    overall = table[table["group"] == "all"]
    values = overall[overall["quantity"] == "value"].set_index("approach")["value"]
    assert float(values["merged"]) == pytest.approx(0.95)
    assert float(values["any of 3"]) == 1.0
    held = overall[overall["quantity"] == "at equal cost"]
    assert held["against"].tolist() == ["single seed", "best of 2.25", "majority of 2.25", "any of 2.25"]
    assert held["verdict"].tolist()[:3] == [GAIN, NOT_TOLD, NOT_TOLD]
    curve = overall[overall["approach"] == "any of 2"]
    assert (curve["value"].item(), curve["cost"].item()) == pytest.approx((2 / 3, 24.0))
    assert {"value", "low", "high", "n", "p", "interval"} <= set(table.columns)


def test_figures_are_drawn_and_name_their_axes(result: Result, tmp_path: Path) -> None:
    assert result.figures() == ["cost", "gain", "gain-by-group"]
    [cost] = result.figure("cost").axes
    assert cost.get_xscale() == "log"
    assert cost.get_xlabel() == "evaluations of the denoiser a sample"
    assert [tick.get_text() for tick in cost.get_xticklabels()] == ["12", "24", "36"]
    [gain] = result.figure("gain").axes
    assert [tick.get_text() for tick in gain.get_yticklabels()] == [
        "merged − single seed",
        *(f"same − {other}" for other in ("single seed", "best of 2.25", "majority of 2.25", "any of 2.25")),
    ]
    [by_group] = result.figure("gain-by-group").axes
    assert [tick.get_text() for tick in by_group.get_xticklabels()] == ["blue", "red"]
    for name in result.figures():
        figure = result.figure(name)
        captions = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
        assert "95% interval" in captions
        assert "samples" in captions
        assert result.plot(tmp_path / f"{name}.png", name).stat().st_size > 10_000


def test_one_seed_can_be_drawn_and_told_of(tmp_path: Path) -> None:
    answers = {name: {0: RIGHT} for name in "ab"}
    store = plant(tmp_path / "store", answers, {"ensemble": (answers, (0,), 12)})
    result = compare(store)
    assert not any("best of" in line for line in result.summary())
    assert result.plot(tmp_path / "cost.png").exists()
