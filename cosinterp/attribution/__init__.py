"""Attribution: what patching would change, to first order, of every activation of a step at once."""

from cosinterp.attribution.metrics import Metric, x0_along
from cosinterp.attribution.passes import Passes, Side
from cosinterp.attribution.step import POINTS, attribute
from cosinterp.attribution.table import attribution_rows, attributions, side_of

__all__ = [
    "POINTS",
    "Metric",
    "Passes",
    "Side",
    "attribute",
    "attribution_rows",
    "attributions",
    "side_of",
    "x0_along",
]
