"""What stands in for packages that the tests of Cosmos do without: its guardrail, and torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from diffusers.models.transformers import transformer_cosmos
from diffusers.pipelines.cosmos import (
    pipeline_cosmos2_5_predict,
    pipeline_cosmos2_text2image,
    pipeline_cosmos2_video2world,
    pipeline_cosmos_text2world,
    pipeline_cosmos_video2world,
)

PIPELINES = (
    pipeline_cosmos2_5_predict,
    pipeline_cosmos2_text2image,
    pipeline_cosmos2_video2world,
    pipeline_cosmos_text2world,
    pipeline_cosmos_video2world,
)


class TinyChecker(torch.nn.Module):
    """Lets everything pass."""

    dtype = torch.float32
    device = torch.device("cpu")

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: np.ndarray) -> np.ndarray | None:
        return frames


def _resized(mask: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
    return torch.nn.functional.interpolate(mask, size, mode=interpolation)


def _tensor(image: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


@contextmanager
def torchvision() -> Iterator[None]:
    """The two functions of it that Cosmos calls, where it is not installed."""
    transforms = SimpleNamespace(
        functional=SimpleNamespace(resize=_resized, to_tensor=_tensor),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )
    if hasattr(transformer_cosmos, "transforms"):
        yield
        return
    with (
        patch.object(transformer_cosmos, "transforms", transforms, create=True),
        patch.object(
            pipeline_cosmos2_5_predict, "torchvision", SimpleNamespace(transforms=transforms), create=True
        ),
    ):
        yield


@contextmanager
def guardrail(checker: type = TinyChecker) -> Iterator[None]:
    """A safety checker in place of NVIDIA's, installed or not."""
    with ExitStack() as stack:
        for module in PIPELINES:
            stack.enter_context(patch.object(module, "CosmosSafetyChecker", checker))
        yield


@contextmanager
def installed() -> Iterator[None]:
    """All that Cosmos needs to run."""
    with torchvision(), guardrail():
        yield
