"""What torch calls the GPU that Ray gives a task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import ray

from cosinterp.executors.ray_worker import gpu


@pytest.mark.parametrize(
    ("visible", "given", "named"),
    [
        (None, "3", "cuda:3"),
        ("0,1,2,3", "3", "cuda:3"),
        # torch counts what is visible, Ray names it as the variable does.
        ("4,6", "6", "cuda:1"),
        ("GPU-1a, GPU-2b", "GPU-2b", "cuda:1"),
    ],
)
def test_a_gpu_is_counted_among_those_that_are_visible(
    visible: str | None, given: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    context = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": [given]})
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)

    assert gpu() == named
