"""Attribution patching of one denoising step.

To first order, putting the donor's activation d in place of the recipient's r changes a metric by
<d - r, gradient of the metric at r>. One forward pass of the donor, and one forward and one backward pass of
the recipient, give this for all sites, layers and branches at once (Nanda 2023; Syed et al. 2023, arXiv
2310.10348). With integrated gradients the gradient is the mean over points on the straight line between what
enters the denoiser in the two runs (EAP-IG, Hanna et al. 2024, arXiv 2403.17806), which follows the metric
where it is curved.

It screens, no more: what it finds is to be confirmed by patching.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from cosinterp.attribution.cells import Cells, Masks
from cosinterp.attribution.gradients import Change, Donor, Recipient
from cosinterp.attribution.layers import Attributed, choose
from cosinterp.attribution.metrics import Metric, measured, x0_along
from cosinterp.attribution.passes import Passes, Side
from cosinterp.errors import InterventionError
from cosinterp.models.model import Model
from cosinterp.steps import Step
from stores.selection import Selection, select

POINTS = 8


def attribute(
    model: Model | Passes,
    recipient: Side,
    donor: Side,
    step: int,
    *,
    sites: str | Sequence[str] = ("resid",),
    layers: Selection = "all",
    branches: str | Sequence[str] = "all",
    tokens: Masks | None = None,
    metric: Metric | None = None,
    points: int = POINTS,
) -> xr.Dataset:
    """Estimate what patching each activation of one step would change: the donor's put into the recipient's.

    In memory are the activations of one step that its backward pass needs (gradient checkpointing is switched
    off), and once more those of ``sites``. Models may be quantised, or offloaded with "model".

    Args:
        model: the model, or `Passes` of it, which remember encoded texts and images from call to call.
        recipient, donor: the two runs; ``donor`` has to make as large a video in as many steps.
        step: which denoising step.
        sites, layers, branches: which activations, as in `cosinterp.trace`.
        tokens: groups of tokens by name, bool (frame, row, col) on the token grid; None: all, as "all".
            Sites that do not lie on the token grid have only a group of all tokens; of others they are NaN.
        metric: a differentiable function of the clean estimate; None: `x0_along`, which is 0 at the
            recipient's and 1 at the donor's.
        points: on the line between the inputs, for integrated gradients; 0: none.

    Returns:
        A dataset with ``attribution`` (site, layer, branch, tokens), float64: by how much the metric would
        change; NaN where a site has no such layer. With points also ``attribution_ig``. The same for what
        enters the denoiser, over all branches: ``input_attribution`` and ``input_attribution_ig``
        (argument). Attributes: ``step``, ``points``, and the metric at the recipient's clean estimate
        (``metric_recipient``), at the donor's (``metric_donor``), and at the one that the recipient's
        noisy latent and the donor's prediction make (``metric_inputs``). The sum of
        ``input_attribution_ig`` tends to the last less the first as points get more.

    Raises:
        SelectionError: a site, layer, branch or step that is not there.
        InterventionError: runs that do not fit together, a metric that is not differentiable or not finite.
    """
    passes = model if isinstance(model, Passes) else Passes(model)
    attributed = choose(passes.model.anatomy, recipient.settings, sites, layers, branches)
    (step,) = select(step, range(recipient.settings["num_steps"]), "steps", "this run")
    _check_fit(passes.model, recipient, donor)
    if points < 0:
        raise InterventionError(f"points has to be 0 or more, not {points}")
    cells = Cells(tokens, passes.model.anatomy.geometry.grid(passes.model.size(recipient.settings)))
    seen, change = Donor(), Change()
    ends = passes.denoise(
        donor, step, attributed.read, seen.on_tensor, seen.on_input, lambda made: made, grad=False
    )
    goal = ends.clean_estimate()
    first = Recipient(attributed, change, cells, donor=seen)

    def measure_first(made: Step) -> tuple[Metric, dict[str, float]]:
        own = x0_along(made.clean_estimate().detach(), goal) if metric is None else metric
        on_donors_inputs = replace(made, prediction=ends.prediction).clean_estimate()
        return own, {
            "metric_recipient": first.backward(own, made),
            "metric_donor": float(measured(own, goal, differentiable=False)),
            "metric_inputs": float(measured(own, on_donors_inputs, differentiable=False)),
        }

    chosen, measures = passes.denoise(
        recipient, step, attributed.read, first.on_tensor, first.on_input, measure_first, grad=True
    )
    sums, inputs = {"attribution": cells}, {"input_attribution": first.inputs}
    if points:
        sums["attribution_ig"] = cells.emptied()
        inputs["input_attribution_ig"] = dict.fromkeys(first.inputs, 0.0)
    for point in range(points):
        way = Recipient(
            attributed,
            change,
            sums["attribution_ig"],
            # Midpoints of equal parts: their mean is nearer to the integral than that of the parts' ends.
            share=(point + 0.5) / points,
            weight=1 / points,
            inputs=inputs["input_attribution_ig"],
        )
        backward = partial(way.backward, chosen)
        passes.denoise(recipient, step, attributed.read, way.on_tensor, way.on_input, backward, grad=True)
    attrs = {"step": step, "points": points, **measures}
    return _dataset(attributed, cells.names, sums, inputs, attrs)


def _check_fit(model: Model, recipient: Side, donor: Side) -> None:
    """Refuse runs of which one cannot be a donor of the other."""
    computed = model.anatomy.guidance.computed
    has = {
        "size": [model.size(side.settings) for side in (donor, recipient)],
        "number of steps": [side.settings["num_steps"] for side in (donor, recipient)],
        "branches": [", ".join(computed(side.settings)) for side in (donor, recipient)],
    }
    for what, (its, own) in has.items():
        if its != own:
            raise InterventionError(
                f"{donor} cannot be a donor of {recipient}, which differs in {what}: {its} and {own}"
            )


def _dataset(
    attributed: Attributed,
    tokens: tuple[str, ...],
    sums: Mapping[str, Cells],
    inputs: Mapping[str, Mapping[str, float]],
    attrs: Mapping[str, float],
) -> xr.Dataset:
    sites = tuple(attributed.layers)
    layers = sorted({layer for own in attributed.layers.values() for layer in own})
    axes = [(site, layer, branch) for site in sites for layer in layers for branch in attributed.branches]
    shape = (len(sites), len(layers), len(attributed.branches), len(tokens))
    arguments = sorted(next(iter(inputs.values())))
    return xr.Dataset(
        {
            **{
                name: (
                    ("site", "layer", "branch", "tokens"),
                    np.stack([cells.of(cell) for cell in axes]).reshape(shape),
                )
                for name, cells in sums.items()
            },
            **{
                name: ("argument", np.array([found[argument] for argument in arguments], dtype=np.float64))
                for name, found in inputs.items()
            },
        },
        coords={
            "site": list(sites),
            "layer": layers,
            "branch": list(attributed.branches),
            "tokens": list(tokens),
            "argument": arguments,
        },
        attrs=dict(attrs),
    )
