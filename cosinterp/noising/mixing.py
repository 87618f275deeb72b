"""How noise and a latent are mixed, and the energy of the change.

A latent x (channel, frame, row, col) enters a step; x_S is what of it lies in the chosen frames. With noise ε
of independent standard normal numbers and s the standard deviation of x over all its places,

    x'_S = sqrt(1 - m) x_S + sqrt(m) s ε_S                                                    (1)

keeps the variance that the latent has at this noise level, whatever the schedule: with x_t = α x0 + σ ε it is
α² var(x0) + σ², and s measures it. At m = 1 nothing of x_S is left: the latent is replaced. Without its noise
the mixture is sqrt(1 - m) x_S: the latent *shrinks*. Initial noise that shrinks by m = 1 - 1/K has the
deviation of the mean of K seeds, so this is the control of an ensemble that averages latents.

The *energy* of a change at one step is |x' - x|² / (2 |x|²), both over the whole latent. Two independent
latents of one length are sqrt(2) |x| apart, so 1 is the energy of replacing all frames at one step. Energies
of several steps are added: noise in one of F frames at each of N steps has about N / F.

To put in a given energy exactly, noise is used that is orthogonal to what it is mixed with, and of its
length: with u = ε_S less its projection on x_S, scaled to |x_S|,

    x'_S = c x_S + sqrt(1 - c²) u,     |x'_S| = |x_S|,     |x'_S - x_S|² = 2 (1 - c) |x_S|²   (2)

so a change has the energy (1 - c) φ, where φ = |x_S|² / |x|² is the share of the latent that lies in the
chosen frames. For an energy e this gives c = 1 - e / φ, which is the strength m = 1 - c² of (1). No more than
φ can be put in at one step. Among n numbers u differs from s ε_S by a share of about 1 / sqrt(n).
"""

from __future__ import annotations

import math

import torch


def mixed(latent: torch.Tensor, noise: torch.Tensor, strength: float, deviation: float) -> torch.Tensor:
    """Equation (1): a latent with noise of ``strength`` m, float32 of the shape of both.

    ``deviation``: s, by which the standard normal ``noise`` is multiplied.
    """
    own = math.sqrt(strength) * deviation * noise
    return own if strength == 1 else math.sqrt(1 - strength) * latent.float() + own


def shrunk(latent: torch.Tensor, strength: float) -> torch.Tensor:
    """Equation (1) without its noise: a latent that is smaller, float32 of its shape."""
    return math.sqrt(1 - strength) * latent.float()


def turned(latent: torch.Tensor, noise: torch.Tensor, cosine: float) -> torch.Tensor:
    """Equation (2): a latent turned towards noise until ``cosine`` of it is left, float32 of its shape.

    A latent that is zero stays zero.
    """
    x, n = latent.double(), noise.double()
    squares = (x * x).sum()
    if squares == 0:
        return latent.float()
    aside = n - (n * x).sum() / squares * x
    aside *= (squares / (aside * aside).sum()).sqrt()
    return (cosine * x + math.sqrt(1 - cosine**2) * aside).float()


def cosine_of(energy: float, share: float) -> float:
    """c of equation (2) for an energy at one step, where ``share`` φ of the latent is chosen.

    At least 0: what is chosen takes no more than φ.
    """
    return 1.0 if energy <= 0 else max(0.0, 1 - energy / share) if share > 0 else 0.0


def strength_of(cosine: float) -> float:
    """m of equation (1) that leaves as much of the latent as c of equation (2)."""
    return 1 - cosine**2


def energy_of(strength: float, share: float) -> float:
    """What noise of a strength has at one step, where ``share`` of the latent is chosen; an expectation."""
    return (1 - math.sqrt(1 - strength)) * share
