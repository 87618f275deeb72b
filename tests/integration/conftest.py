"""Tiny Wans, built and loaded once for all integration tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from cosinterp.models.loading import load
from cosinterp.models.model import Model
from tests.integration import loras
from tests.tiny import build

if TYPE_CHECKING:
    from tests.integration.sweeping import Bench


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny Wan by its kind's name; do not write into it."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            folders[name] = build(name, tmp_path_factory.mktemp("tiny") / name)
        return folders[name]

    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Callable[[str], Path]) -> Callable[..., Model]:
    """A loaded tiny Wan by its kind's name and dtype."""
    models: dict[tuple[str, str], Model] = {}
    torch.set_num_threads(1)

    def model(name: str, dtype: str = "fp32") -> Model:
        if (name, dtype) not in models:
            models[name, dtype] = load(tiny_folder(name), device="cpu", dtype=dtype)
        return models[name, dtype]

    return model


@pytest.fixture
def lora(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A LoRA of diffusers' naming for the tiny Wan `loras.KIND`."""
    made = loras.changes(tiny_folder(loras.KIND))
    return loras.written(loras.as_diffusers(made), tmp_path / "lora.safetensors")


@pytest.fixture
def adapter(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """The same LoRA as PEFT writes it, without its settings."""
    made = loras.changes(tiny_folder(loras.KIND))
    return loras.written(loras.as_peft(made), tmp_path / "adapter_model.safetensors")


@pytest.fixture(scope="session")
def bench_named(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """A tiny model of a family and a store of its runs, by the family's row."""
    from tests.integration.sweeping import bench_of

    made: dict[str, Bench] = {}

    def of(name: str) -> Bench:
        if name not in made:
            made[name] = bench_of(name, tmp_path_factory.mktemp("bench") / "store")
        return made[name]

    return of
