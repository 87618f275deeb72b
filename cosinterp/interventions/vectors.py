"""Steering vectors: which way activations differ between two groups of runs, and files of them.

A vector is a difference of means: of the runs that show something, less of those that do not. It is made of a
store alone; `Add` puts it into a run. Sources: Marks and Tegmark 2023 (arXiv 2310.06824) for differences of
means, Rimsky et al. 2023 (arXiv 2312.06681) for adding them to activations.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import InterventionError
from cosinterp.interventions.group_means import Places, group_mean, places_of_runs
from stores.chosen_runs import SampleNames, chosen_runs
from stores.files import replacing
from stores.filters import Seeds
from stores.hdf5 import why_unreadable
from stores.selection import Selection, compact
from stores.store import open_store

if TYPE_CHECKING:
    from cosinterp.interventions.edits import Place
    from stores import Store

Float32 = NDArray[np.float32]

FORMAT = "cosinterp-vectors"
VERSION = 1
_ARRAYS = ("vectors", "positive_norms", "negative_norms")
_FILES_KEPT = 4
# What NumPy and zipfile raise on a file that is none of theirs, or damaged.
_DAMAGE = (OSError, LookupError, ValueError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class SteeringVectors:
    """One vector for each step and layer of a site.

    Attributes:
        site: which.
        steps, layers: as numbered in the model.
        vectors: float32 (step, layer, channel).
        positive_norms, negative_norms: Euclidean norms of the two means that they are the difference of,
            float32 (step, layer): what a vector's own norm is compared with.
        about: where they come from, JSON-able: the store, its model, the groups and how many runs of each.
    """

    site: str
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    vectors: Float32
    positive_norms: Float32
    negative_norms: Float32
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def norms(self) -> Float32:
        """Euclidean norms of the vectors, float32 (step, layer)."""
        return np.linalg.norm(self.vectors, axis=-1)

    def at(self, place: Place) -> Float32:
        """The vector (channel,) of a place: of its step, or of the only step that there is.

        Raises:
            InterventionError: there is none for its site, layer or step.
        """
        if place.site != self.site:
            raise InterventionError(f"these steering vectors are of {self.site}, not of {place.site}")
        if place.layer not in self.layers:
            raise InterventionError(
                f"no steering vector of layer {place.layer}: there are layers {compact(self.layers)}"
            )
        if len(self.steps) > 1 and place.step not in self.steps:
            raise InterventionError(
                f"no steering vector of step {place.step}: there are steps {compact(self.steps)}"
            )
        step = self.steps.index(place.step) if len(self.steps) > 1 else 0
        return self.vectors[step, self.layers.index(place.layer)]

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write them to a file, a NumPy archive (.npz), which is there whole or not at all.

        ``force``: replace a file that is there.

        Raises:
            StoreError: a file is there and not to be replaced, or the disk refuses.
        """
        path = Path(path)
        told = {
            "format": FORMAT,
            "version": VERSION,
            "site": self.site,
            "steps": self.steps,
            "layers": self.layers,
            "about": self.about,
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with replacing(path, force, replaceable=Path.is_file) as draft, draft.open("wb") as file:
            np.savez(file, told=np.array(json.dumps(told)), **arrays)
        return path


def read_vectors(path: Path | str) -> SteeringVectors:
    """The steering vectors in a file that `SteeringVectors.save` wrote; files read last are kept.

    Raises:
        InterventionError: there is no such file, it is damaged or of something else.
    """
    path = Path(path)
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        raise InterventionError(
            f"{path}: there is no such file of steering vectors; make one with steering_vectors(...).save"
        ) from None
    except _DAMAGE as error:
        why = why_unreadable(error) if isinstance(error, OSError) else None
        what = f"cannot be read: {why}" if why else "damaged, or no steering vectors; make them again"
        raise InterventionError(f"{path}: {what}") from error


def digest_of(path: Path | str) -> str:
    """What tells the contents of a file of steering vectors from those of others: a hash of its numbers."""
    found = read_vectors(path)
    told = json.dumps([found.site, found.steps, found.layers])
    return blake2b(told.encode() + found.vectors.tobytes(), digest_size=12).hexdigest()


def steering_vectors(
    store: Store | str | Path,
    *,
    positive: SampleNames,
    negative: SampleNames,
    site: str = "resid",
    layers: Selection = "all",
    steps: Selection = "all",
    branch: str | None = None,
    tokens: str = "all",
    seeds: Seeds = None,
) -> SteeringVectors:
    """The mean activation of one group of runs less that of another, at each step and layer.

    The mean is over the tokens of the group of each run, then over runs, all runs alike; in float64. One
    activation is in memory at a time.

    Args:
        store: a store or its folder.
        positive, negative: samples by name or by pattern; the groups need not be pairs.
        site, layers, steps: of which the store has to have all of, in both groups.
        branch: None: "cond" where that is stored.
        tokens: a group in the language of `cosinterp.interventions.token_groups`; places are those of each
            run's own sample. For all tokens a store of the reduction "mean" does as well as one in full.
        seeds: of both groups; None: all.

    Raises:
        SelectionError: no such samples, seeds, steps, layers or tokens.
        InterventionError: a run is in both groups, or runs do not have the same of the site.
    """
    opened = open_store(store) if isinstance(store, str | Path) else store
    groups = [chosen_runs(opened, names, seeds) for names in (positive, negative)]
    both = {entry.key for entry in groups[0]} & {entry.key for entry in groups[1]}
    if both:
        sample, seed, _ = min(both)
        raise InterventionError(f"{sample} seed {seed} is in both groups; choose groups that differ")
    places = places_of_runs(
        opened, [*groups[0], *groups[1]], site, steps=steps, layers=layers, branch=branch, tokens=tokens
    )
    means = [group_mean(opened, group, places) for group in groups]
    vectors = (means[0] - means[1]).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise InterventionError(
            f"{opened.path}: activations of {site} hold NaN or infinity; look with verify"
        )
    positive_norms, negative_norms = (np.linalg.norm(mean, axis=-1).astype(np.float32) for mean in means)
    return SteeringVectors(
        site,
        places.steps,
        places.layers,
        vectors,
        positive_norms,
        negative_norms,
        _about(opened, (positive, negative), [len(group) for group in groups], seeds, places),
    )


def _about(
    store: Store, names: tuple[SampleNames, SampleNames], runs: Sequence[int], seeds: Seeds, places: Places
) -> dict[str, Any]:
    groups = {
        side: {"samples": "all" if own is None else own if isinstance(own, str) else list(own), "runs": count}
        for side, own, count in zip(("positive", "negative"), names, runs, strict=True)
    }
    return {
        "store": str(store.path),
        "model": dict(store.settings.model),
        **groups,
        "seeds": "all" if seeds is None else str(seeds),
        "branch": places.branch,
        "tokens": places.tokens,
    }


@lru_cache(maxsize=_FILES_KEPT)
def _read(path: Path, modified: int, size: int) -> SteeringVectors:
    with np.load(path, allow_pickle=False) as archive:
        told = json.loads(str(archive["told"]))
        arrays = {name: np.asarray(archive[name], dtype=np.float32) for name in _ARRAYS}
    if told["format"] != FORMAT:
        raise ValueError(f"{path} is of the format {told['format']}")
    if told["version"] != VERSION:
        raise InterventionError(
            f"{path}: steering vectors of format version {told['version']}, this cosinterp reads {VERSION}"
        )
    steps, layers = tuple(told["steps"]), tuple(told["layers"])
    if any(array.shape[:2] != (len(steps), len(layers)) for array in arrays.values()):
        raise ValueError(f"the shapes of {path} do not fit together")
    return SteeringVectors(told["site"], steps, layers, **arrays, about=told["about"])
