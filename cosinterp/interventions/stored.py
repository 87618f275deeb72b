"""What interventions take from stores."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cosinterp.errors import InterventionError
from cosinterp.interventions.edits import Place, Sources
from cosinterp.interventions.intervention import Mean, RunRef
from cosinterp.interventions.vectors import read_vectors
from stores.store import open_store

if TYPE_CHECKING:
    from stores.store import Store

_KEPT = 16
_BYTES_OF_MEANS = 2 * 2**30


class StoreSources(Sources):
    """Donors, means and vectors, read from stores and files; those used last are kept.

    A mean takes all runs of a store to make, and a sweep asks for each again with every run, so means are
    kept on the host besides, as long as there is room for them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stores: dict[str, Store] = {}
        self._kept: OrderedDict[Any, torch.Tensor] = OrderedDict()
        self._means: dict[tuple[Mean, Place], torch.Tensor] = {}

    def store(self, path: str) -> Store:
        """A store, opened once. Raises StoreError if there is none."""
        if path not in self._stores:
            self._stores[path] = open_store(path)
        return self._stores[path]

    def donor(self, run: RunRef, place: Place) -> torch.Tensor:
        """See `Sources`: (1, token, channel), bfloat16 where it is stored so, else float32."""
        return self._once((run, place), lambda: self._read(run, place))

    def mean(self, over: Mean, place: Place) -> torch.Tensor:
        """See `Sources`: float32."""
        return self._once((over, place), lambda: self._known_mean(over, place))

    def vector(self, file: str, place: Place) -> torch.Tensor:
        """See `Sources`: the file's vector of the site, layer and, if it has them, step; float32."""
        return self._once((file, place), lambda: torch.from_numpy(read_vectors(file).at(place)))

    def _once(self, key: Any, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        if key not in self._kept:
            self._kept[key] = make().to(self._device)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _read(self, run: RunRef, place: Place) -> torch.Tensor:
        stored = self.store(run.store).shared_run(run.sample, run.seed, run.variant)
        # The bits, where they are those of a dtype: half as many bytes as float32.
        is_bf16 = stored.site(place.site, "full").dtype == "bf16"
        array = stored.read(place.site, place.step, place.layer, place.branch, reduction="full", raw=is_bf16)
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return (tensor.view(torch.bfloat16) if is_bf16 else tensor).flatten(0, 2)[None]

    def _known_mean(self, over: Mean, place: Place) -> torch.Tensor:
        if (over, place) in self._means:
            return self._means[over, place]
        mean = self._mean(over, place)
        # Whichever came first stay: a sweep comes back to all of them in turn.
        if mean.nbytes + sum(kept.nbytes for kept in self._means.values()) <= _BYTES_OF_MEANS:
            self._means[over, place] = mean
        return mean

    def _mean(self, over: Mean, place: Place) -> torch.Tensor:
        store = self.store(over.store)
        total: np.ndarray | None = None
        count = 0
        for _, _, _, _, array in store.iter(
            place.site,
            steps=place.step,
            layers=place.layer,
            samples=over.samples,
            seeds=over.seeds,
            branches=place.branch,
            reduction="full",
        ):
            if total is not None and total.shape != array.shape:
                raise InterventionError(
                    f"{over.store}: no mean over runs whose token grids differ "
                    f"({total.shape[:3]} and {array.shape[:3]})"
                )
            if total is None:
                total = np.zeros(array.shape)
            total += array
            count += 1
        if total is None:
            raise InterventionError(f"{over.store}: there is no run to take a mean over")
        mean = torch.from_numpy((total / count).astype(np.float32)).flatten(0, 2)
        return mean if over.per == "token" else mean.mean(dim=0, keepdim=True)
