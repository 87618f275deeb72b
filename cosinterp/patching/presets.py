"""Named sets of flags: experiments of others, as they made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosinterp.errors import InterventionError

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Wang et al. 2026 (arXiv 2603.16870): at the first step, layer by layer, the latent of a run with one
    # prompt is put into a run with another; what is looked at is the video that comes out.
    "latent-swap": {
        "steps": "0",
        "layers": "all",
        "sites": "resid",
        "tokens": ["all"],
        "branches": "all",
        "window": "1",
        "layer_window": 1,
        "horizon": None,
    },
}
"""By name: values of parameters of `cosinterp.patch`, as its command takes them."""


def preset(name: str) -> Mapping[str, Any]:
    """A preset. Raises InterventionError: there is none of that name."""
    if name not in PRESETS:
        raise InterventionError(f'preset "{name}": there is {", ".join(PRESETS)}')
    return PRESETS[name]
