"""VBVR-Bench's scores, with a package of its interface in the place of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cosinterp.patching import vbvr_measures as vbvr
from cosinterp.patching.measures import MeasureError, taken
from cosinterp.samples import load_dataset
from tests.unit.samples.making import KEY_DOOR, MAZE, write_bench

# As `get_evaluator` and `evaluate` of vbvr_bench: the score says how bright the video is, and for which task.
EVALUATORS = f"""
import imageio_ffmpeg
import numpy as np

TASK_EVALUATOR_MAP = {{"{KEY_DOOR}": None}}
asked = []

class Evaluator:
    def evaluate(self, eval_info, **kwargs):
        asked.append((eval_info, kwargs))
        frames = imageio_ffmpeg.read_frames(eval_info["video_path"])
        width, height = next(frames)["source_size"]
        video = np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames])
        score = video.mean() / 255
        return {{"score": score, "dimensions": {{"task_specific": score}}}}

def get_evaluator(task_name, device="cuda"):
    assert (task_name, device) == ("{KEY_DOOR}", "cpu")
    return Evaluator()
"""
VIDEO = np.full((5, 16, 16, 3), 255, np.uint8)
VIDEO[:, :8] = 0


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = tmp_path / "packages" / vbvr.PACKAGE
    (package / "evaluators").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "evaluators" / "__init__.py").write_text(EVALUATORS)
    monkeypatch.syspath_prepend(package.parent)
    for name in (vbvr.PACKAGE, f"{vbvr.PACKAGE}.evaluators"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    vbvr._evaluators.cache_clear()
    yield
    vbvr._evaluators.cache_clear()


@pytest.fixture
def metadata(tmp_path: Path) -> dict[str, dict]:
    """Of the first sample of each task of a bench."""
    bench = write_bench(tmp_path / "VBVR-Bench")
    samples = {sample.name: sample.metadata for sample in load_dataset(bench)}
    return {task: next(samples[name] for name in samples if task in name) for task in (KEY_DOOR, MAZE)}


def test_a_run_is_scored_against_the_truth_of_either_sample(installed, metadata):
    [measure] = vbvr.vbvr_measures(metadata[KEY_DOOR], metadata[KEY_DOOR])
    found = taken(measure, VIDEO, {}, {})
    assert found == {
        "vbvr_recipient": pytest.approx(0.5, abs=0.02),
        "vbvr_donor": pytest.approx(0.5, abs=0.02),
    }
    assert [metric.name for metric in measure.columns] == list(found)
    info, kept = vbvr._evaluators().asked[0]
    assert kept == {"task_specific_only": True}
    assert info["no_ssim_fallback"]
    for key, name in (
        ("gt_first_frame", "first_frame.png"),
        ("gt_final_frame", "final_frame.png"),
        ("gt_video_path", "ground_truth.mp4"),
    ):
        assert Path(info[key]) == Path(info["gt_path"]) / name
    assert Path(info["gt_path"]).name == "00000"
    assert not Path(info["video_path"]).exists()


def test_a_sample_of_another_task_has_no_score(installed, metadata):
    [measure] = vbvr.vbvr_measures(metadata[KEY_DOOR], metadata[MAZE])
    assert list(taken(measure, VIDEO, {}, {})) == ["vbvr_recipient"]
    assert vbvr.vbvr_measures(metadata[MAZE], {}) == ()


def test_a_sample_without_a_true_video_has_no_score(installed, metadata):
    place = {name: metadata[KEY_DOOR]["vbvr"][name] for name in ("split", "task", "index")}
    assert vbvr.vbvr_measures({"vbvr": place}, {}) == ()


def test_a_dataset_that_is_gone_is_told_and_not_scored_without_it(installed, metadata):
    [measure] = vbvr.vbvr_measures(metadata[KEY_DOOR], {})
    Path(metadata[KEY_DOOR]["vbvr"]["final_frame"]).unlink()
    with pytest.raises(MeasureError, match="VBVR-Bench: .*final_frame.png is not there any more"):
        taken(measure, VIDEO, {}, {})


def test_without_the_package_nothing_is_measured(metadata, monkeypatch):
    monkeypatch.setattr(vbvr, "find_spec", lambda name: None)
    assert vbvr.vbvr_measures(metadata[KEY_DOOR], metadata[KEY_DOOR]) == ()
