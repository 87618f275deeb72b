"""Attribution: what patching would change, to first order, of every activation of a step at once."""

from cosinterp.attribution.metrics import Metric, x0_along
from cosinterp.attribution.passes import Passes, Side
from cosinterp.attribution.step import POINTS, attribute

__all__ = ["POINTS", "Metric", "Passes", "Side", "attribute", "x0_along"]
