"""How fast runs were made, by when the runs of a store were finished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from cosinterp.models.model import Model
from cosinterp.planning.pace import Pace, device_text, pace_of, seconds_of
from cosinterp.planning.takes import Estimate, Takes, refusal_of
from stores import StoreSettings, create_store
from stores.errors import StoreError


def on(**more: Any) -> Model:
    """What is asked of a model here."""
    said = {"device": torch.device("cpu"), "dtype": torch.float32, "quantization": None, "offload": None}
    return cast("Model", SimpleNamespace(**said | more))


def store_of(folder: Path, seconds: Sequence[float], batch: int = 1, **attrs: Any) -> Path:
    """A store whose base runs were finished at these seconds of an hour by one process."""
    store = create_store(folder, StoreSettings())
    for seed in range(len(seconds)):
        with store.writer("maze", seed) as writer:
            made_by = {"dtype": "float32", "quantization": None}
            said = {"device": device_text(on()), "model": made_by, "offload": None}
            writer.set_attrs({**said, "batch_seeds": list(range(batch)), **attrs})
            writer.set_schedule(np.array([500.0]), np.array([1.0, 0.0]))
            writer.set_condition("go")
            for step in range(2):
                writer.write_noisy(step, np.zeros((1, 1, 2, 2), np.float32))
            writer.write_prediction(0, np.zeros((1, 1, 2, 2), np.float32))
            writer.finish()
    (catalog,) = (folder / "catalog").glob("*.jsonl")
    lines = [json.loads(line) for line in catalog.read_text().splitlines()]
    for line, second in zip(lines, seconds, strict=True):
        line["finished"] = f"2026-01-31T12:{int(second) // 60:02}:{int(second) % 60:02}Z"
    catalog.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"sample": "cut')
    return folder


def test_a_run_takes_from_the_end_of_the_one_before_to_its_own(tmp_path: Path) -> None:
    found = pace_of(store_of(tmp_path / "s", [0, 10, 21, 30]), on())
    assert isinstance(found, Pace)
    assert (found.seconds, found.runs, found.num_steps) == (10, 3, 1)
    twice = seconds_of(tmp_path / "s", on(), lambda pace: 2 * pace.num_steps)
    assert twice.value == 20
    assert "took 10 s each" in twice.source
    assert "n=3" in twice.source
    # Of five runs two workers make three, one after another.
    shared = seconds_of(tmp_path / "s", on(), lambda pace: 5, workers=2)
    assert (shared.value, "spread over 2" in shared.source) == (30, True)


def test_a_pause_is_no_run(tmp_path: Path) -> None:
    found = pace_of(store_of(tmp_path / "s", [0, 10, 20, 30, 1230, 1240]), on())
    assert isinstance(found, Pace)
    assert found.seconds == 10


def test_runs_of_a_batch_end_together(tmp_path: Path) -> None:
    found = pace_of(store_of(tmp_path / "s", [0, 0, 30, 30, 60, 60, 90, 90], batch=2), on())
    assert isinstance(found, Pace)
    assert found.seconds == 15


@pytest.mark.parametrize(
    ("seconds", "attrs", "model", "why"),
    [
        ([0, 10], {}, {}, "too few base runs"),
        ([0, 1, 2, 3], {}, {}, "made too quickly"),
        ([0, 10, 20], {"device": "NVIDIA H200"}, {}, "on NVIDIA H200, and not on cpu"),
        ([0, 10, 20], {}, {"dtype": torch.bfloat16}, "in float32, and not in bfloat16"),
        ([0, 10, 20], {"offload": "model"}, {}, "another offloading: model, and not none"),
        ([0, 10, 20], {}, {"quantization": "bnb-8bit"}, "another quantisation: none, and not bnb-8bit"),
    ],
)
def test_what_is_not_known_is_said_and_why(
    tmp_path: Path, seconds: list[float], attrs: dict[str, Any], model: dict[str, Any], why: str
) -> None:
    found = seconds_of(store_of(tmp_path / "s", seconds, **attrs), on(**model), lambda pace: 1)
    assert found.value is None
    assert why in found.source


def test_of_a_store_that_is_not_there_and_of_a_cluster_nothing_is_known(tmp_path: Path) -> None:
    assert seconds_of(tmp_path / "none", on(), lambda pace: 1).value is None
    store = store_of(tmp_path / "s", [0, 10, 20])
    assert seconds_of(store, on(), lambda pace: 1, workers=None).value is None


def test_what_a_command_takes_is_said_as_data_and_in_words() -> None:
    def refuse() -> None:
        raise StoreError("it is there")

    takes = Takes(
        what="4 runs",
        runs=4,
        bytes=10,
        seconds=Estimate(5400.0, "as measured"),
        gpu_memory=Estimate(2 * 10**9, "weights"),
        device="cuda:1",
        refused=refusal_of(lambda: None, refuse),
    )
    assert takes.lines() == [
        ("time", "about 1.5 h: as measured"),
        ("device", "cuda:1; GPU memory at least 2.0 GB: weights"),
        ("refused", "it is there"),
    ]
    assert takes.as_data() == {
        "what": "4 runs",
        "runs": 4,
        "rows": None,
        "bytes": 10,
        "seconds": 5400.0,
        "seconds_from": "as measured",
        "gpu_memory": 2 * 10**9,
        "gpu_memory_from": "weights",
        "device": "cuda:1",
        "refused": "it is there",
    }
    assert refusal_of(lambda: None) is None
