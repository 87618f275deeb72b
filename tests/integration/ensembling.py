"""Ensembles on their way, kept in memory; and what the plain pipeline does, step by step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from cosinterp.denoising import Clock
from cosinterp.ensembles.chunks import AUTO, Chunk, Chunks
from cosinterp.ensembles.course import Course
from cosinterp.ensembles.rows import Made, Rows
from cosinterp.ensembles.spec import Ensemble, Merge
from cosinterp.models.anatomy import Pinned
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample, make_plan
from cosinterp.replaying.preamble import Preamble
from cosinterp.samples import Sample
from cosinterp.steps import Call, Schedule, Step

Tensors = dict[int, list[torch.Tensor]]
"""By row, of each step: (channel, frame, row, col)."""


@dataclass
class Heard:
    """What an ensemble's rows came to; see `Listener`."""

    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    output_type: str = "latent"
    noisy: Tensors = field(default_factory=lambda: defaultdict(list))
    predictions: Tensors = field(default_factory=lambda: defaultdict(list))
    final: dict[int, torch.Tensor] = field(default_factory=dict)
    activations: dict[tuple[int, str, int, int, str], torch.Tensor] = field(default_factory=dict)
    retries: int = 0
    stopped_rows: list[int] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    evaluations: float = 0.0

    def wants(self, call: Call) -> bool:
        return bool(self.layers)

    def started(self, schedule: Schedule) -> None:
        self.schedules.append(schedule)

    def settled(self, row: int, made: Made, step: int) -> None:
        assert len(self.noisy[row]) == step
        self.noisy[row].append(made.noisy[0].float().clone())
        self.predictions[row].append(made.prediction[0].float().clone())

    def activation(self, rows: Rows, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        for place, row in enumerate(rows):
            key = row, site, layer, call.step, call.branch
            assert key not in self.activations or self.retries, "told twice"
            self.activations[key] = tokens[place].clone()

    def retried(self) -> None:
        self.retries += 1

    def stopped(self, row: int) -> None:
        self.stopped_rows.append(row)

    def ended(self, rows: Rows, final: torch.Tensor, pinned: Pinned | None, output: Any) -> None:
        for place, row in enumerate(rows):
            assert row not in self.final
            self.final[row] = final[place].float().clone()

    def tensors(self) -> dict[str, torch.Tensor]:
        """All latents and predictions of the rows that ended, and of each step of them."""
        found: dict[str, torch.Tensor] = {}
        for row, final in self.final.items():
            found[f"{row} noisy"] = torch.stack([*self.noisy[row], final])
            found[f"{row} predictions"] = torch.stack(self.predictions[row])
        return found


def planned(model: Model, sample: Sample, **sampling: Any) -> PlannedSample:
    nothing: dict[str, Any] = {"sites": "none", "layers": "all", "save_steps": "all", "branches": "all"}
    plan = make_plan(
        model,
        [sample],
        seeds=0,
        dtype="auto",
        batch=1,
        save_video=False,
        host_memory=2**30,
        sampling=sampling,
        **nothing,
    )
    return plan.samples[0]


def made(
    model: Model,
    of: PlannedSample,
    ensemble: Ensemble,
    seeds: Sequence[int],
    chunk: Chunk = AUTO,
    choose: Callable[[Rows, torch.Tensor], Rows] | None = None,
    layers: dict[str, tuple[int, ...]] | None = None,
    output_type: str = "latent",
) -> Heard:
    """An ensemble's rows, taken to where they end."""
    heard = Heard(layers or {}, output_type)
    chunks = Chunks(chunk, model, heard.notes.append)
    course = Course(model, of, ensemble, tuple(seeds), chunks, heard, choose, Preamble(model))
    course.run()
    heard.evaluations = course.evaluations
    assert len(heard.schedules) == 1
    return heard


def merging(what: Any, *steps: int, then: Any = "all", **more: Any) -> Ensemble:
    """An ensemble of one merge."""
    if what == "hidden":
        more = {"site": "resid", "layers": (1, 2), **more}
    return Ensemble(merges=(Merge(what=what, steps=steps, **more),), then=then)


def plain(model: Model, of: PlannedSample, seeds: Sequence[int]) -> list[Step]:
    """What the plain pipeline does with these seeds as its batch."""
    steps: list[Step] = []
    clock = Clock(model.pipeline, model.anatomy, of.size, len(seeds), steps.append)
    with clock.watching():
        model.pipeline(**model.arguments(of.sample, tuple(seeds), of.settings, output_type="latent"))
    return steps


_WITH_ROWS = {
    "linear": ("input",),
    "conv3d": ("input",),
    "silu": ("input",),
    "gelu": ("input",),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask"),
}


@contextmanager
def row_by_row() -> Iterator[None]:
    """Within the block each row of a batch is computed by itself.

    So it does not depend on its place, as the last bits of products and activation functions else do.
    """

    def apart(function: Callable[..., torch.Tensor], with_rows: tuple[str, ...]) -> Callable[..., Any]:
        def each(*args: Any, **kwargs: Any) -> torch.Tensor:
            named = {**dict(zip(with_rows, args, strict=False)), **kwargs}
            rest, rows = args[len(with_rows) :], len(named[with_rows[0]])
            return torch.cat(
                [
                    function(
                        *(named[name][row : row + 1] for name in with_rows if name not in kwargs),
                        *rest,
                        **{
                            name: given[row : row + 1] if name in with_rows and given is not None else given
                            for name, given in kwargs.items()
                        },
                    )
                    for row in range(rows)
                ]
            )

        return each

    with pytest.MonkeyPatch.context() as patch:
        for name, with_rows in _WITH_ROWS.items():
            patch.setattr(torch.nn.functional, name, apart(getattr(torch.nn.functional, name), with_rows))
        yield


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    return float((one - other).abs().max() / other.abs().max())
