"""How a pipeline runs guidance: which branches it computes, and which of them a denoiser call is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

COND, UNCOND = "cond", "uncond"

LABELS = {"cond": COND, "uncond": UNCOND, "pred_cond": COND, "pred_uncond": UNCOND}
"""What most pipelines call the cache contexts of the branches."""


@dataclass(frozen=True)
class Branch:
    """One branch, computed where any of the settings ``when`` is above its value; always if it has none."""

    name: str
    when: Mapping[str, float] = field(default_factory=dict)

    def is_computed(self, settings: Mapping[str, Any]) -> bool:
        """Whether sampling settings ask for it."""
        asked = ((settings.get(name), above) for name, above in self.when.items())
        return not self.when or any(value is not None and value > above for value, above in asked)


@dataclass(frozen=True)
class Guidance:
    """How guidance is run.

    Attributes:
        kind: `sequential`: one denoiser call for each branch. `doubled`: the branches lie in one batch.
            `observed`: one of the two, which is seen when it runs. `none`: there is only one.
        branches: in the order in which they are called.
        rows: of a doubled batch: the branches of its parts, in order.
        labels: names of the denoiser's cache contexts that tell the branch of a call.
        embedded: the setting that a guidance-distilled denoiser takes as an input, if it is one.
        on, off: settings that turn guidance on and off.
    """

    kind: Literal["sequential", "doubled", "observed", "none"]
    branches: tuple[Branch, ...]
    rows: tuple[str, ...] = (UNCOND, COND)
    labels: Mapping[str, str] = field(default_factory=lambda: dict(LABELS))
    embedded: str | None = None
    on: Mapping[str, float] = field(default_factory=dict)
    off: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All branches that there can be."""
        return tuple(branch.name for branch in self.branches)

    def computed(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The branches that a run with these settings computes."""
        return tuple(branch.name for branch in self.branches if branch.is_computed(settings))

    def of_call(self, label: str | None, parts: int, made: tuple[str, ...]) -> tuple[str, ...] | None:
        """The branch of each part of a call's batch, told from what can be seen of the call.

        ``label`` is the cache context's name, if the pipeline gives one; ``parts`` how many times the rows of
        the run fit into the batch; ``made`` the branches that this step has computed already. None: it cannot
        be told.
        """
        if parts == 1:
            if label is not None and label in self.labels:
                return (self.labels[label],)
            return next(((name,) for name in self.names if name not in made), None)
        return self.rows if parts == len(self.rows) else None


def classifier_free(
    kind: Literal["sequential", "doubled"],
    setting: str = "guidance_scale",
    *,
    rows: tuple[str, ...] = (UNCOND, COND),
    embedded: str | None = None,
) -> Guidance:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598), on where ``setting`` is above 1."""
    return Guidance(
        kind=kind,
        branches=(Branch(COND), Branch(UNCOND, {setting: 1.0})),
        rows=rows,
        embedded=embedded,
        on={setting: 3.0},
        off={setting: 1.0},
    )
