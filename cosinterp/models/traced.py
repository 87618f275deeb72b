"""A loaded pipeline as an nnsight model."""

from __future__ import annotations

from typing import Any

from nnsight.modeling.diffusion import DiffusionModel


class TracedPipeline(DiffusionModel):
    """An nnsight model of a pipeline that is loaded already, LoRA and offloading included.

    A trace makes one call, whose arguments are those of its one invoke with arguments; other invokes have
    none and see the same call.
    """

    def __init__(self, source: str, pipeline: Any) -> None:
        # nnsight loads through a class; this one hands over what there is.
        super().__init__(source, automodel=_Loaded(pipeline), dispatch=True)

    def _batch_size(self, *inputs: Any, **kwargs: Any) -> int:
        # Its own counts prompts, and a class-conditional pipeline has none.
        generators = kwargs.get("generator", ())
        return len(generators) if isinstance(generators, list | tuple) else 1

    def _batch(self, invokes: list[tuple[tuple[Any, ...], dict[str, Any]]], fn: Any) -> tuple[Any, Any]:
        ((inputs, kwargs),) = invokes
        return inputs, kwargs


class _Loaded:
    """Stands in for a pipeline class where nnsight would load one."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def from_pretrained(self, *_: Any, **__: Any) -> Any:
        return self._pipeline
