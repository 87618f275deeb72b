from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes import statistics
from probes.maps import estimates
from probes.maps.making import maps
from tests.unit.probes.maps.planting import plant


@pytest.mark.parametrize("samples", [3, 12])
def test_means_are_those_of_the_statistics_whatever_is_drawn_together(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_COLUMNS", 2)
    names = [f"s{number}" for number in range(samples) for _ in range(2)]
    values = np.random.default_rng(0).gamma(3, size=(len(names), 5, 1))
    values[1, 3] = np.nan
    found = estimates.means_over_runs(values, names, seed=7)
    columns = [0, 1, 2, 4]
    expected = statistics.means(values[:, columns, 0], names, seed=7, bounds=(0.0, np.inf))
    for column, one in zip(columns, expected, strict=True):
        assert (found.value[column, 0], found.low[column, 0], found.high[column, 0]) == (
            one.value,
            one.low,
            one.high,
        )
    assert np.isnan([found.value[3, 0], found.low[3, 0], found.high[3, 0]]).all()
    assert found.words == statistics.describe(expected)


def test_a_result_has_means_over_runs_with_intervals_over_samples(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s"), seed=3).dataset
    expected = statistics.mean(
        found["layer_energy"].sel(step=2, layer=7).values, ["a", "a", "b"], seed=3, bounds=(0.0, np.inf)
    )
    at = found.sel(step=2, layer=7)
    assert float(at["layer_energy_mean"]) == expected.value
    assert float(at["layer_energy_low"]) == expected.low
    assert float(at["layer_energy_high"]) == expected.high
    assert found["layer_energy_mean"].attrs["estimate"].startswith("n = 3 runs of 2 samples; 95% interval")
