"""What ``cosinterp trace`` refuses because of the model's own settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app

SIZE = ["--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3"]


def trace(model: Path, store: Path, *words: str) -> Result:
    return CliRunner().invoke(
        app, ["trace", "--model", str(model), "--store", str(store), "--prompt", "go", *SIZE, *words]
    )


def refusal(result: Result) -> str:
    """The one line that a trace is refused with, after what a bar may have shown."""
    assert result.exit_code == 2, result.output
    *_, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("FlowMatchLCMScheduler", {"shift": 3.0}),
        (
            "DPMSolverMultistepScheduler",
            {
                "algorithm_type": "sde-dpmsolver++",
                "prediction_type": "flow_prediction",
                "use_flow_sigmas": True,
            },
        ),
    ],
)
def test_a_scheduler_whose_noise_no_seed_determines(
    name: str, config: dict[str, Any], tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_folder("wan2.1-t2v"), tmp_path / "model")
    index = json.loads((model / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", name]
    (model / "model_index.json").write_text(json.dumps(index))
    (model / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": name, **config}))
    line = refusal(trace(model, tmp_path / "store", "--device", "cpu"))
    assert f"{name} adds noise at each step that no seed determines" in line
    assert not list((tmp_path / "store").rglob("*.h5*"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("guidance_scale=abc", "guidance_scale has to be a number, not abc"),
        ("guidance_scale=true", "guidance_scale has to be a number, not True"),
        ("guidance_scale=[2.0]", "guidance_scale has to be a number, not [2.0]"),
        ("guidance_scale=Infinity", "guidance_scale has to be a number, not inf"),
        ("guidance_scale_2=abc", "guidance_scale_2 has to be a number, not abc"),
        ("negative_prompt=3", "negative_prompt has to be a text, not 3"),
        ("max_sequence_length=8.5", "max_sequence_length has to be a whole number above 0, not 8.5"),
    ],
)
def test_a_setting_of_the_wrong_type(
    setting: str, message: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    line = refusal(trace(tiny_folder("wan2.2-t2v-a14b"), tmp_path / "store", "--set", setting))
    assert line == f"error: sample go: {message}"
    assert not (tmp_path / "store").exists()
