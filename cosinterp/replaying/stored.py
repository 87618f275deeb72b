"""Runs of stores, opened to be replayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from cosinterp.errors import InterventionError
from cosinterp.planning.plan import model_settings, scheduler_config
from cosinterp.replaying.player import Player
from cosinterp.samples import Sample
from cosinterp.samples.hashes import image_sha256, videos_sha256

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.replaying.preamble import Preamble
    from stores import Run, Store


class StoredTrajectory:
    """The trajectory of a run as its store has it, one row; see `cosinterp.replaying.player.Trajectory`."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def prediction(self, step: int) -> torch.Tensor:
        """The guided prediction of a step."""
        return torch.from_numpy(self._run.prediction(step))[None]

    def clean_estimate(self, step: int) -> torch.Tensor:
        """The clean estimate of a step."""
        return torch.from_numpy(self._run.clean_estimate(step))[None]

    def final(self) -> torch.Tensor:
        """The final latent."""
        return torch.from_numpy(self._run.noisy(self._run.num_steps))[None]


class PlayedTrajectory:
    """The trajectory of a run that was played here, all rows; see `cosinterp.replaying.player.Trajectory`."""

    def __init__(self, player: Player) -> None:
        played = player.play()
        assert played.final is not None, "a run that is not stopped has a final latent"
        self._predictions, self._clean, self._final = played.predictions, played.clean, played.final
        self.blocks = played.blocks

    def prediction(self, step: int) -> torch.Tensor:
        """The guided prediction of a step."""
        return self._predictions[step]

    def clean_estimate(self, step: int) -> torch.Tensor:
        """The clean estimate of a step."""
        return self._clean[step]

    def final(self) -> torch.Tensor:
        """The final latent."""
        return self._final


def check_replayable(model: Model, store: Store, run: Run) -> None:
    """Refuse a run that this model would not make again.

    Raises:
        InterventionError: says why.
    """
    why = _why_not(model, store, run)
    if why is not None:
        raise InterventionError(f"{run.sample} seed {run.seed} of {store.path} cannot be replayed: {why}")


def _why_not(model: Model, store: Store, run: Run) -> str | None:
    if not run.has_latents:
        return "it was stored without its latents"
    if run.variant != "base":
        return f"it is of variant {run.variant}, and only base runs follow from their seed alone"
    made_by = store.settings.model
    changed = [
        what for what, own in _identity(model_settings(model)).items() if _identity(made_by).get(what) != own
    ]
    if changed:
        what = changed[0]
        return (
            f"another model made it ({what} is {made_by.get(what)!r} there and "
            f"{model_settings(model).get(what)!r} here)"
        )
    scheduler = model.pipeline.scheduler
    here = {"class": type(scheduler).__name__, "config": scheduler_config(scheduler)}
    there = run.attrs["scheduler"]
    if here["class"] != there["class"]:
        return f"it was made with {there['class']}, and the model has {here['class']}"
    differing = [key for key, value in here["config"].items() if there["config"].get(key) != value]
    if differing:
        key = differing[0]
        return (
            f"its scheduler had {key} {there['config'].get(key)!r}, and the model's has "
            f"{here['config'][key]!r}"
        )
    return None


def _identity(settings: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same for the same numbers; where the weights' hash is known, a name may differ."""
    names = ["pipeline", "experts", "dtype", "lora", "quantization", "untrained", "weights_sha256"]
    if settings.get("weights_sha256") is None:
        names += ["name", "revision"]
    return {name: settings.get(name) for name in names}


def sample_of(run: Run, samples: Iterable[Sample] = ()) -> Sample:
    """The sample of a run: that of ``samples`` which is called so, else as the store has it.

    Raises:
        InterventionError: it was made from videos too, which a store does not keep; or the sample that is
            called so is another one.
    """
    given = next((sample for sample in samples if sample.name == run.sample), None)
    if given is None:
        if run.attrs.get("videos_sha256"):
            names = ", ".join(run.attrs["videos_sha256"])
            raise InterventionError(
                f"{run.sample} was made from videos too ({names}), which a store does not keep; "
                "give the dataset"
            )
        image = run.image
        return Sample(
            name=run.sample,
            prompt=run.prompt,
            image=None if image is None else Image.fromarray(image),
            truth=run.truth,
        )
    here = given.prompt, image_sha256(given), videos_sha256(given)
    if here != (run.prompt, run.attrs.get("image_sha256"), run.attrs.get("videos_sha256", {})):
        raise InterventionError(f"the sample {run.sample} of the dataset is not the one that was traced")
    return given


def player_of(
    model: Model,
    store: Store,
    run: Run,
    *,
    rows: int | None = None,
    samples: Iterable[Sample] = (),
    preamble: Preamble | None = None,
) -> Player:
    """A player of a stored run.

    ``rows``: so many rows of its seed; None: the batch that it was made in.

    Raises:
        InterventionError: it cannot be replayed.
    """
    check_replayable(model, store, run)
    seeds = tuple(run.attrs["batch_seeds"]) if rows is None else (run.seed,) * rows
    return Player(model, sample_of(run, samples), seeds, dict(run.attrs["sampling"]), preamble)


def stored_row(run: Run) -> int:
    """Which row of its batch a run was."""
    return list(run.attrs["batch_seeds"]).index(run.seed)
