"""Attribution: what patching would change, to first order, of every activation of a step at once."""

from cosinterp.attribution.agreement import rank_correlation
from cosinterp.attribution.metrics import Metric, x0_along
from cosinterp.attribution.passes import Passes, Side
from cosinterp.attribution.step import POINTS, attribute
from cosinterp.attribution.table import attribution_rows, attributions, side_of, strongest

__all__ = [
    "POINTS",
    "Metric",
    "Passes",
    "Side",
    "attribute",
    "attribution_rows",
    "attributions",
    "rank_correlation",
    "side_of",
    "strongest",
    "x0_along",
]
