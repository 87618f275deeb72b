"""A scheme: how several seeds of one maze become one answer or several, as data. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cosinterp.errors import UserError

What = Literal["latent", "x0", "prediction", "hidden"]
Way = Literal["mean", "norm-mean", "median", "medoid", "core"]
"""Those of `cosinterp.ensembles.merging`, and ``core``: the mean of the medoid and of the seeds nearest to
it, more than half of all."""

BRANCHES = ("cond", "uncond")


class SchemeError(UserError):
    """A scheme that cannot be."""


@dataclass(frozen=True)
class Merge:
    """What is merged over the seeds of a group, and put in place of each seed's own.

    Attributes:
        what: ``latent``: what leaves a step; ``x0``: the clean estimate that the solver is given;
            ``prediction``: the guided prediction; ``hidden``: the residual stream at ``layers``.
        steps: when.
        how: in which way.
        layers: of the residual stream, as everywhere: 0 is the patch embedding's output.
        branches: whose hidden states.
        share: how far each seed's own is moved to the merged one, 0 to 1.
    """

    what: What
    steps: tuple[int, ...]
    how: Way = "mean"
    layers: tuple[int, ...] = ()
    branches: tuple[str, ...] = BRANCHES
    share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a merge that cannot be."""
        if not self.steps or min(self.steps) < 0:
            raise SchemeError("a merge needs steps of 0 or more")
        if (self.what == "hidden") != bool(self.layers):
            raise SchemeError("a merge of hidden states needs layers, and no other merge has any")
        if self.how == "core" and self.what in ("latent", "hidden"):
            raise SchemeError(f"core goes with x0 and prediction, not with {self.what}")
        if not 0 < self.share <= 1:
            raise SchemeError(f"a share is more than 0 and at most 1, not {self.share:g}")


@dataclass(frozen=True)
class Scheme:
    """Groups of seeds; those of a group are merged, and each group gives its answers.

    Attributes:
        name: of the scheme.
        seeds: of a group (K). Group g has the seeds ``g * seeds`` and on.
        groups: how many, each with seeds of its own.
        merges: what is merged; nothing: the seeds go on by themselves.
        then: after the last merge ``one`` goes on (a group's first seed, from its own latent unless latents
            were merged), or ``all`` do.
        num_steps: denoising steps; None: the measurement's.
        guidance: guidance scale; None: the measurement's.
        noise: what the initial noise is multiplied by.
        renewed: steps after which a row's noise is drawn anew: x_t = (1 - sigma) x̂0 + sigma * new noise.
        shrunk: steps after which a row's noise, what is left of x_t without (1 - sigma) x̂0, is multiplied by
            ``shrink``.
        shrink: by what.
        unguided: steps without guidance, which cost one evaluation a row.
    """

    name: str
    seeds: int = 1
    groups: int = 1
    merges: tuple[Merge, ...] = ()
    then: Literal["one", "all"] = "one"
    num_steps: int | None = None
    guidance: float | None = None
    noise: float = 1.0
    renewed: tuple[int, ...] = ()
    shrunk: tuple[int, ...] = ()
    shrink: float = 1.0
    unguided: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a scheme that cannot be."""
        if self.seeds < 1 or self.groups < 1:
            raise SchemeError(f"{self.name}: needs at least one seed and one group")
        if self.seeds > 1 and not self.merges:
            raise SchemeError(f"{self.name}: a group of {self.seeds} seeds merges nothing; use groups of one")

    @property
    def last_merge(self) -> int | None:
        """The last step at which something is merged."""
        return max((max(merge.steps) for merge in self.merges), default=None)

    @property
    def total_seeds(self) -> int:
        """Seeds that are begun for each maze: 0, 1, ..."""
        return self.seeds * self.groups

    @property
    def answers(self) -> int:
        """Videos that come out for each maze, group by group."""
        return self.groups * (self.seeds if self.then == "all" else 1)

    def merged_at(self, step: int, what: What) -> tuple[Merge, ...]:
        """The merges of a kind at a step."""
        return tuple(merge for merge in self.merges if merge.what == what and step in merge.steps)

    def steps_of(self, num_steps: int) -> int:
        """Its own number of steps, where it has one."""
        return self.num_steps or num_steps

    def guidance_of(self, guidance: float) -> float:
        """Its own guidance scale, where it has one."""
        return guidance if self.guidance is None else self.guidance

    def evaluations(self, num_steps: int, guidance: float) -> int:
        """Denoiser evaluations (one row, one branch) for each maze.

        Args:
            num_steps, guidance: of the measurement.
        """
        total = 0
        for step in range(self.steps_of(num_steps)):
            alone = self.then == "one" and (self.last_merge is None or step > self.last_merge)
            rows = self.groups * (1 if alone else self.seeds)
            guided = self.guidance_of(guidance) > 1 and step not in self.unguided
            total += rows * (2 if guided else 1)
        return total

    def check(self, num_steps: int, num_layers: int) -> None:
        """Refuse what the measurement does not have.

        Raises:
            SchemeError: a step or a layer that does not exist.
        """
        steps = self.steps_of(num_steps)
        asked = [step for merge in self.merges for step in merge.steps]
        if beyond := [
            step for step in (*asked, *self.renewed, *self.shrunk, *self.unguided) if step >= steps
        ]:
            raise SchemeError(f"{self.name}: there is no step {beyond[0]} of {steps}")
        layers = [layer for merge in self.merges for layer in merge.layers]
        if beyond := [layer for layer in layers if not 0 <= layer <= num_layers]:
            raise SchemeError(f"{self.name}: there is no layer {beyond[0]}; the last is {num_layers}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def scheme_of(values: dict[str, Any]) -> Scheme:
    """The reverse of `Scheme.to_dict`, also of what went through JSON, which knows no tuples."""
    merges = tuple(Merge(**_tuples(merge)) for merge in values["merges"])
    return Scheme(**{**_tuples(values), "merges": merges})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
