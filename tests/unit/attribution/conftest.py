"""Tiny pipelines of some families, built once each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

import cosinterp as ci
from cosinterp.attribution import Side
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.families.rows import ROWS


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], tuple[FamilyRow, Model]]:
    """A row and its model, by the row's name."""
    made: dict[str, tuple[FamilyRow, Model]] = {}

    def of(name: str) -> tuple[FamilyRow, Model]:
        if name not in made:
            row = next(row for row in ROWS if row.name == name)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                made[name] = (row, ci.load(row.build()))
        return made[name]

    return of


@pytest.fixture(scope="session")
def pair() -> Callable[..., tuple[Side, Side]]:
    """(recipient, donor) of a row: they differ in the seed, or in the prompt with ``prompt``."""

    def of(
        row: FamilyRow, model: Model, *, guided: bool = True, prompt: str | None = None
    ) -> tuple[Side, Side]:
        settings = {
            **row.settings,
            **(row.guided if guided else row.unguided or {}),
            "num_steps": row.num_steps,
        }
        sample = row.sample()
        other = sample if prompt is None else replace(sample, prompt=prompt)
        recipient = Side(sample, 3, model.sampling(sample, settings))
        return recipient, Side(other, 4 if prompt is None else 3, model.sampling(other, settings))

    return of
