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


def longest_text(length: int) -> Callable[[Mapping[str, Any]], str | None]:
    """Refuses longer texts, for pipelines that would fail on them; see `Anatomy.refusal`."""

    def refusal(settings: Mapping[str, Any]) -> str | None:
        asked = settings["max_sequence_length"]
        too_long = f"max_sequence_length {asked} is above {length}, the most that this model takes"
        return too_long if asked > length else None

    return refusal
