"""What is imported before anybody asks for it, so that no question has to wait for it."""

from __future__ import annotations

import importlib
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

# Of every question about a model, before the first answer; the rest as long as nobody asks.
_FIRST = (
    "torch",
    "diffusers.pipelines.wan.pipeline_wan_i2v",
    "cosinterp.cli.trace_plan",
    "cosinterp.models.loading",
    "cosinterp.planning.plan",
    "cosinterp.planning.to_make",
    "cosinterp.tracing",
)
_THEN = (
    "diffusers.guiders",
    "cosinterp.models.families.wan",
    "cosinterp.planning.pace",
    "cosinterp.cli.trace",
    "cosinterp.cli.ensemble",
    "cosinterp.cli.ensemble_plan",
    "cosinterp.cli.noise",
    "cosinterp.cli.noise_plan",
    "cosinterp.cli.patch",
    "cosinterp.cli.sweep_plan",
    "cosinterp.cli.experiment",
    "cosinterp.cli.probe_plan",
    "cosinterp.patching.patch",
    "cosinterp.patching.cost",
    "cosinterp.executors.sweeps",
    "cosinterp.executors.local",
    "cosinterp.ensembles.makers",
    "cosinterp.ensembles.planned",
    "cosinterp.noising.noise",
    "cosinterp.probing",
    "probes.probing.making",
    "probes.probing.transferring",
    "cosinterp.experiments.running",
)
_OWN = {"cosinterp", "probes", "stores"}
_MODELS = {"torch", "diffusers", "transformers", "nnsight", "accelerate", "peft", "safetensors", "tokenizers"}
_NUMBERS = {"numpy", "scipy", "pandas", "sklearn", "xarray", "h5py", "joblib", "PIL", "imageio"}
_OTHERS = {"huggingface_hub", "pydantic", "pydantic_core", "rich", "typer", "regex", "ftfy", "sentencepiece"}
_KEPT = _OWN | _MODELS | _NUMBERS | _OTHERS


class Warmth:
    """Imports what commands need at first, and what questions are seen to have imported, once each."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()

    @property
    def is_waiting(self) -> bool:
        """Whether something is left to import."""
        return bool(self._waiting)

    def begin(self) -> None:
        """Import what every question that needs a model needs. Takes seconds."""
        for name in _FIRST:
            importlib.import_module(name)
        self._waiting.extend(_THEN)

    def learn(self, imported: Iterable[str]) -> None:
        """Have what a question had to import imported here too, when there is time."""
        self._waiting.extend(name for name in imported if _may_be_kept(name))

    def go_on(self) -> None:
        """Import one of them."""
        # What is no module by itself is left to those who need it.
        with suppress(ImportError):
            importlib.import_module(self._waiting.popleft())


def _may_be_kept(name: str) -> bool:
    """Whether a module may be imported here for good.

    Code of the user may be changed from question to question. Other libraries may ask for a GPU as they are
    imported, of which no fork could make use then.
    """
    top = name.partition(".")[0]
    return top in _KEPT or top in sys.stdlib_module_names
