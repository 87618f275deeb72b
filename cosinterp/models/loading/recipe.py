"""How a model was asked for, so that another process can load the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosinterp.models.loading.prepared import Prepared


@dataclass(frozen=True)
class Recipe:
    """The arguments of `cosinterp.load`, but for the device; picklable.

    ``settings`` has what depends on the device (the dtype) or on the day (a hub id's revision) resolved.
    """

    name: str
    settings: Mapping[str, Any]

    def prepare(self, device: str | None) -> Prepared:
        """The same model on a device; see `cosinterp.models.loading.prepare`.

        Raises:
            ModelError: it is not there any more, or cannot be on that device.
        """
        from cosinterp.models.loading.prepared import prepare

        return prepare(self.name, device=device, **self.settings)
