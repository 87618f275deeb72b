"""Arguments of a pipeline's call, where families want them in another way."""

from __future__ import annotations

from typing import Any


def image_for_each_row(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The first image once for each row of the batch, for pipelines that do not repeat it themselves."""
    image = arguments.get("image")
    if image is None:
        return arguments
    return {**arguments, "image": [image] * len(arguments["generator"])}
