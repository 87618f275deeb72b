"""The solver that tests of schemes run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosinterp.organism.architecture import TransformerSize, build_transformer
from cosinterp.organism.evaluate import BUNDLED, load_solver
from cosinterp.organism.solver import Solver


@pytest.fixture(scope="session")
def solver() -> Solver:
    """maze-wan with a denoiser of three narrow blocks, drawn at random."""
    torch.manual_seed(0)
    transformer = build_transformer(TransformerSize(num_layers=3, num_heads=1, head_dim=12, ffn_dim=16))
    # Else each block is close to the identity, and what is merged where would hardly matter.
    for parameter in transformer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return replace(load_solver(BUNDLED, torch.device("cpu")), transformer=transformer.eval())
