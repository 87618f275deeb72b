"""Every family: what a store holds is what plain hooks see, and tracing changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cosinterp as ci
from cosinterp.models.model import Model
from cosinterp.verification import verify
from tests.families.hooked import HookedCall, Key
from tests.families.page import PROPERTY
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

CASES = [
    pytest.param(row, guided, batch, id=f"{row.name}-{'guided' if guided else 'unguided'}-batch{batch}")
    for row in ROWS
    for guided in (True, False)
    for batch in row.batches
    if guided or row.unguided is not None
]


@pytest.mark.parametrize(("row", "guided", "batch"), CASES)
def test_family(
    row: FamilyRow,
    guided: bool,
    batch: int,
    family_model: Callable[[FamilyRow], Model],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """A store holds what plain hooks see, at every site; the video is that of the untraced pipeline."""
    model = family_model(row)
    case = f"{'guided' if guided else 'unguided'}, {batch}"
    record_property(PROPERTY, {"name": row.name, "case": case, **_described(model)})
    seeds = tuple(range(3, 3 + batch))
    settings = {**row.settings, **(row.guided if guided else row.unguided or {}), "num_steps": row.num_steps}
    sample = row.sample()
    hooked = HookedCall(model.pipeline, row, batch, row.calls if guided else row.unguided_calls)
    with hooked.attached():
        arguments = model.arguments(sample, seeds, model.sampling(sample, settings))
        plain = model.videos(model.pipeline(**arguments))
    store = ci.trace(
        model,
        sample,
        store=tmp_path / "store",
        seeds=list(seeds),
        sites="all",
        dtype="fp32",
        batch=batch,
        **settings,
    )
    hooked.check_calls(row.num_steps)
    for place, seed in enumerate(seeds):
        with store.run("sample", seed) as run:
            assert run.video is not None
            assert np.array_equal(run.video, (plain[place] * 255).round().astype(np.uint8))
            _check_sites(row, hooked.values, run, place)
            last = run.num_steps - 1
            if batch == 1:
                # Pipelines may round in between where the anatomy does not.
                decoded = model.decode(run.noisy(last + 1), row.size.get("num_frames"))
                np.testing.assert_allclose(decoded.astype(int), run.video.astype(int), atol=1)
            for step in range(run.num_steps) if row.euler else (last,):
                _check_clean_estimate(row, run, step)
    assert not store.verify()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_verify_passes(
    row: FamilyRow,
    family_model: Callable[[FamilyRow], Model],
    record_property: Callable[[str, object], None],
) -> None:
    """Also gated sites, which no hook sees: they are what the blocks add."""
    record_property(PROPERTY, {"name": row.name, "case": "verify"})
    model = family_model(row)
    checks = verify(model, row.sample(), **row.settings, num_steps=row.num_steps)
    assert [check for check in checks if not check.passed] == []


def _check_clean_estimate(row: FamilyRow, run: ci.Run, step: int) -> None:
    """A step goes from x̂0 to as much noise as the schedule says; the last to none, of most schedules."""
    sigma = run.schedule.sigma
    left = sigma[step + 1] / sigma[step]
    after = (1 - left) * run.clean_estimate(step) + left * run.noisy(step)
    np.testing.assert_allclose(after, run.noisy(step + 1), rtol=1e-5, atol=row.clean)


def _check_sites(row: FamilyRow, values: dict[Key, torch.Tensor], run: ci.Run, place: int) -> None:
    stored = {
        (site, step, layer, branch)
        for site, info in run.sites.items()
        for step in info.steps
        for layer in info.layers
        for branch in info.branches
    }
    idle = {key for key in stored if key[3] in row.idle.get(key[0], ())}
    assert not any(run.read(*key).any() for key in idle)
    assert {key for key in stored - idle if key[0] in row.hooks} == {key[:4] for key in values}
    for key, value in values.items():
        site, step, layer, branch = key
        found = run.read(site, step, layer, branch)
        assert found.shape[:3] == row.grids.get(site, row.grids["resid"]), key
        expected = value[place].reshape(found.shape).numpy()
        assert np.array_equal(found, expected), key


def _described(model: Model) -> dict[str, str]:
    """What the table says of a family, in words."""
    anatomy = model.anatomy
    guidance = anatomy.guidance
    others = [branch for branch in guidance.names if branch not in ("cond", "uncond")]
    embedded = [] if guidance.embedded is None else ["embedded"]
    return {
        "pipeline": type(model.pipeline).__name__,
        "denoiser": type(getattr(model.pipeline, anatomy.experts[0])).__name__,
        "sites": ", ".join(site for site in anatomy.sites if not site.endswith(".raw")),
        "guidance": ", ".join([guidance.kind, *embedded, *others]),
        "predicts": anatomy.prediction_type,
    }
