"""Tiny pipelines, built, saved, and loaded as a user does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import cosinterp as ci
from cosinterp.models.model import Model
from tests.families.row import FamilyRow


@pytest.fixture(scope="module")
def family_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FamilyRow], Model]:
    """A row's tiny pipeline, saved and loaded again; the last one only is kept."""
    held: list[tuple[str, Model]] = []

    def model(row: FamilyRow) -> Model:
        if not held or held[0][0] != row.name:
            folder = tmp_path_factory.mktemp("family")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                row.build().save_pretrained(folder)
            held[:] = [(row.name, ci.load(folder, device="cpu", dtype="fp32"))]
        return held[0][1]

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
