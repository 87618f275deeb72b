"""Arguments of a pipeline's call, where families want them in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def image_for_each_row(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The first image once for each row of the batch, for pipelines that do not repeat it themselves."""
    image = arguments.get("image")
    if image is None:
        return arguments
    return {**arguments, "image": [image] * len(arguments["generator"])}


def at_most(**limits: int) -> Callable[[Mapping[str, Any]], str | None]:
    """Refuses larger settings, for pipelines that would fail on them; see `Anatomy.refusal`."""

    def refusal(settings: Mapping[str, Any]) -> str | None:
        above = [name for name, limit in limits.items() if settings.get(name, 0) > limit]
        if not above:
            return None
        name = above[0]
        return f"{name} {settings[name]} is above {limits[name]}, the most that this model takes"

    return refusal
