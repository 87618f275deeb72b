"""What a plan says of the size of a run, beside the run's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from cosinterp.models.model import Model
from cosinterp.planning.estimate import run_parts
from cosinterp.planning.plan import TracePlan
from cosinterp.tracing import trace
from tests.tiny import sample_for

KIND = "wan2.2-i2v-a14b"
PER_FILE = 128 * 1024
PER_KEY = 16 * 1024
PER_CHUNK = 128
"""What a plan may be too large by."""

SEVERAL = ["resid=full", "resid=norm", "resid=tokens:7", "resid=frames+project:8", "mlp=mean"]
CHOICES = {
    "full": {},
    "fp32": {"dtype": "fp32"},
    "fp8": {"dtype": "fp8"},
    "frames": {"reduce": "frames", "dtype": "bf16"},
    "mean in fp8": {"reduce": "mean", "dtype": "fp8"},
    "norm": {"reduce": "norm", "dtype": "bf16"},
    "tokens": {"reduce": "tokens:40", "dtype": "fp16"},
    "project": {"reduce": "project:8", "dtype": "bf16"},
    "several": {"sites": "resid,mlp", "reduce": SEVERAL, "dtype": "bf16"},
    "few": {"layers": "0,2", "save_steps": "1,3", "branches": "uncond", "save_video": False},
    "unguided": {"guidance_scale": 1.0},
    "many chunks": {"sites": "all", "num_steps": 20, "reduce": "norm"},
}


class Planned:
    """Remembers the plan that a trace told of."""

    plan: TracePlan

    def planned(self, plan: TracePlan, todo: object) -> None:
        self.plan = plan

    def step(self, *_: object) -> None: ...

    def finished(self, *_: object) -> None: ...


def traced(model: Model, path: Path, **choices: Any) -> tuple[TracePlan, Path]:
    planned = Planned()
    settings = {"seeds": 0, "num_steps": 4, "progress": planned, **choices}
    store = trace(model, sample_for(KIND), store=path, **settings)
    return planned.plan, path / store.runs()[0].file


def chunks(file: h5py.File) -> int:
    found: list[int] = []
    file.visititems(
        lambda _, item: found.append(item.id.get_num_chunks()) if getattr(item, "chunks", None) else None
    )
    return sum(found)


@pytest.mark.parametrize("name", CHOICES)
def test_a_plan_covers_the_file_and_little_more(
    name: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    plan, path = traced(tiny_model(KIND), tmp_path / "store", **CHOICES[name])
    predicted, size = plan.run_bytes(plan.samples[0]), path.stat().st_size
    with h5py.File(path) as file:
        margin = PER_FILE + PER_KEY * len(plan.keys) + PER_CHUNK * chunks(file)
    assert size <= predicted <= size + margin


@pytest.mark.parametrize("name", CHOICES)
def test_each_part_of_a_plan_is_a_part_of_the_file(
    name: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    plan, path = traced(tiny_model(KIND), tmp_path / "store", **CHOICES[name])
    parts = run_parts(plan, plan.samples[0].shape)
    with h5py.File(path) as file:
        assert set(file["activations"]) == set(plan.keys)
        for key in plan.keys:
            stored = file[f"activations/{key}"].id
            bare = stored.get_storage_size()
            assert bare <= parts[key] <= bare * 1.001 + 2 * PER_CHUNK * stored.get_num_chunks()
            slabs = plan.slabs(plan.keys[key][0])
            assert slabs == stored.shape[0] * stored.shape[1] * stored.shape[2]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_run_takes_at_most_what_is_planned(
    compression: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    choices = {"sites": "all", "reduce": ["full", "mean"], "compression": compression, "dtype": "fp32"}
    plan, path = traced(tiny_model(KIND), tmp_path / "store", **choices)
    assert path.stat().st_size <= plan.run_bytes(plan.samples[0])


def test_a_large_truth_counts(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    sample = sample_for(KIND)
    sample.truth["map"] = [[float(row * col) for col in range(600)] for row in range(300)]
    planned = Planned()
    store = trace(
        *(tiny_model(KIND), sample), store=tmp_path / "store", seeds=0, num_steps=2, progress=planned
    )
    size = store.runs()[0].size
    assert 300 * 600 * 8 < size <= planned.plan.run_bytes(planned.plan.samples[0])
