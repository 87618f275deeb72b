"""See what a video diffusion transformer computes at each denoising step, layer and seed.

>>> import cosinterp as ci
>>> model = ci.load("maze-wan")
>>> samples = ci.load_dataset("mazes/")
>>> store = ci.trace(model, samples, store="runs/mazes", seeds="0-3")
>>> store.read(site="resid", step=3, layer=4, sample=samples[0].name, seed=0).shape
(7, 16, 16, 192)

Everything public is a name of this module. Each is imported when it is first used, so that ``import
cosinterp`` costs nothing and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# A module must not bear one of these names (cosinterp/trace.py, say): importing it would put the module
# itself in the place of the function.
_HOMES = {
    "UserError": "stores.errors",
    "open": "stores",
}
_ORIGINAL_NAMES = {"open": "open_store"}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from stores import open_store as open
    from stores.errors import UserError as UserError


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), _ORIGINAL_NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
