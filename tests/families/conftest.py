"""Tiny pipelines, built, saved, and loaded as a user does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import cosinterp as ci
from cosinterp.models.model import Model
from tests.families.row import FamilyRow


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FamilyRow], Path]:
    """The folder of a row's tiny pipeline; do not write into it."""
    folders: dict[str, Path] = {}

    def folder(row: FamilyRow) -> Path:
        if row.name not in folders:
            made = tmp_path_factory.mktemp("family")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                row.build().save_pretrained(made)
            folders[row.name] = made
        return folders[row.name]

    return folder


@pytest.fixture(scope="session")
def family_model(family_folder: Callable[[FamilyRow], Path]) -> Callable[[FamilyRow], Model]:
    """A row's tiny pipeline, saved and loaded again; leave it as it was."""
    models: dict[str, Model] = {}

    def model(row: FamilyRow) -> Model:
        if row.name not in models:
            models[row.name] = ci.load(family_folder(row), device="cpu", dtype="fp32")
        return models[row.name]

    return model


@pytest.fixture(autouse=True)
def packages(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a row's pipeline needs is there in each test of it."""
    row = request.node.callspec.params.get("row") if hasattr(request.node, "callspec") else None
    if not isinstance(row, FamilyRow):
        yield
        return
    with row.installed():
        yield
