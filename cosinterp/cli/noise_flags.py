"""Flags of ``cosinterp noise``: which noise, what is recorded, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import analysis_options
from cosinterp.cli.analysis_options import RESULT
from cosinterp.cli.options import one_of
from cosinterp.cli.run_flags import CAPTURE, SITES, CaptureFlags
from cosinterp.errors import InterventionError

if TYPE_CHECKING:
    from cosinterp.noising.places import Matched

NOISE = "Which noise"


class At(StrEnum):
    """Where noise is."""

    STEP = "step"
    FRAME = "frame"
    BOTH = "both"


class How(StrEnum):
    """What becomes of the latent."""

    REPLACE = "replace"
    MIX = "mix"
    SHRINK = "shrink"


@dataclass(frozen=True)
class NoiseFlags:
    """Which noise."""

    at: Annotated[
        At,
        typer.Option(
            help="At each step, in each latent frame, or both, one at a time.", rich_help_panel=NOISE
        ),
    ] = At.BOTH
    steps: Annotated[
        str,
        typer.Option(
            help='"0-9", "0,5,-1" or "all": a variant for each.',
            rich_help_panel=NOISE,
            autocompletion=one_of("all"),
        ),
    ] = "all"
    frames: Annotated[
        str,
        typer.Option(
            help='Latent frames, as "0-4" or "all": a variant for each.',
            rich_help_panel=NOISE,
            autocompletion=one_of("all"),
        ),
    ] = "all"
    within_frames: Annotated[
        str,
        typer.Option(help="Which latent frames noise at a step is in.", rich_help_panel=NOISE),
    ] = "all"
    during_steps: Annotated[
        str,
        typer.Option(help="At which steps noise in a frame is put in.", rich_help_panel=NOISE),
    ] = "all"
    how: Annotated[
        How | None,
        typer.Option(
            help="replace the latent by noise of its standard deviation, mix them, the variance kept, or "
            "shrink the latent.",
            rich_help_panel=NOISE,
            show_default="replace; with --matched mix",
        ),
    ] = None
    strength: Annotated[
        float | None,
        typer.Option(
            help="Of mix: the share of the variance that is noise; of shrink: that is taken away.",
            min=0.0,
            max=1.0,
            rich_help_panel=NOISE,
            show_default="1",
        ),
    ] = None
    matched: Annotated[
        bool,
        typer.Option(
            "--matched", help="Mix in the same energy everywhere: the most that fits.", rich_help_panel=NOISE
        ),
    ] = False
    energy: Annotated[
        float | None,
        typer.Option(
            help="As --matched, this energy; 1 is that of replacing all frames at one step.",
            rich_help_panel=NOISE,
            show_default=False,
        ),
    ] = None
    noise_seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0, rich_help_panel=NOISE)] = 0
    base: Annotated[
        bool,
        typer.Option(
            "--base/--no-base",
            help="Make the base runs too, where the store lacks them.",
            rich_help_panel=NOISE,
        ),
    ] = True

    def settings(self) -> dict[str, Any]:
        """The arguments of `cosinterp.noising.noise.plan_noise`.

        Raises:
            InterventionError: an energy that is none.
        """
        if self.energy is not None and not self.energy > 0:
            raise InterventionError(f"--energy {self.energy:g}: give a number above 0")
        matched: Matched = self.matched if self.energy is None else self.energy
        return {
            "at": self.at.value,
            "steps": self.steps,
            "frames": self.frames,
            "within_frames": self.within_frames,
            "during_steps": self.during_steps,
            "how": None if self.how is None else self.how.value,
            "strength": self.strength,
            "matched": matched,
            "noise_seed": self.noise_seed,
            "base": self.base,
        }

    @property
    def result_name(self) -> str:
        """After what is not asked usually."""
        parts: list[str | None] = ["noise", None if self.at == At.BOTH else self.at.value]
        if self.energy is not None:
            parts.append(f"energy-{self.energy:g}")
        elif self.matched:
            parts.append("matched")
        elif self.how is not None and self.how != How.REPLACE:
            parts.append(f"{self.how.value}-{1.0 if self.strength is None else self.strength:g}")
        parts.append(f"seed-{self.noise_seed}" if self.noise_seed else None)
        return analysis_options.result_name(*parts)


@dataclass(frozen=True)
class NoiseCaptureFlags(CaptureFlags):
    """What is recorded of each run: no activations unless they are asked for."""

    sites: Annotated[
        str,
        typer.Option(
            help="Such as resid,self_attn,mlp.raw: activations are compared with those of the base runs.",
            rich_help_panel=CAPTURE,
            autocompletion=one_of("none", *SITES, after=","),
        ),
    ] = "none"


@dataclass(frozen=True)
class EffectFlags:
    """What is said of the noise."""

    metric: Annotated[
        str | None,
        typer.Option(
            help="Of the task, such as solved.", rich_help_panel=RESULT, show_default="the task's first"
        ),
    ] = None
    every_variant: Annotated[
        bool,
        typer.Option(
            "--every-variant",
            help="Compare all noised variants that the store has, such as those by another protocol.",
            rich_help_panel=RESULT,
        ),
    ] = False
    result: Annotated[
        str | None,
        typer.Option(
            help="Name of the result: STORE/results/NAME.nc.",
            rich_help_panel=RESULT,
            show_default="after what is asked",
        ),
    ] = None
    force: analysis_options.Force = False
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the effects into this file (png, svg or pdf).",
            rich_help_panel=RESULT,
            show_default=False,
        ),
    ] = None
    bootstrap_seed: analysis_options.BootstrapSeed = 0
