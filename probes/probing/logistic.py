"""Logistic probes of all folds and strengths at once.

A probe minimises mean_i u_i loss_i + strength / 2 * w^2 over standardised features, u_i being the weight of
the row's class and the loss that of softmax or, for two classes, of the logistic function: of n rows,
scikit-learn's `LogisticRegression(C=1 / (strength * n))`. scikit-learn fits one problem at a time, and a grid
of cells has a hundred of them each, on nearly the same rows. So the Hessian is shared: Newton's method is run
on all rows, once for each strength; the parts of its last Hessian that belong to the groups of a training set
then are that training set's, up to the little that its solution differs by. With it held fixed, Newton's
method still converges to the very same minimum, linearly, in a few steps (the chord method: Ortega and
Rheinboldt, Iterative Solution of Nonlinear Equations, 1970, section 7.1; Kelley, Iterative Methods for Linear
and Nonlinear Equations, 1995, section 5.4), and a step of all probes is two matrix products.

A probe that converges slowly gets a Hessian of its own; where there are few rows a channel, so that training
sets differ much, and where nothing converges, scikit-learn fits it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import log_softmax, softmax

from probes.probing.coordinates import Coordinates, coordinates
from probes.probing.fits import Ask, Fits, outputs_of
from probes.probing.table import Table, check_room
from stores.errors import SelectionError

_FEW = 4
"""With fewer rows a channel than this, training sets are too different to share anything."""

_TOLERANCE = {"float32": 1e-7, "float64": 1e-15}
"""The squared Newton decrement to stop at: twice what the mean loss could still fall by."""

_NEAR = 1e-2
"""The squared decrement at which Newton's method on all rows is near enough to begin from."""

_ENOUGH = 64
"""Rows a channel that Newton's method on all rows finds its way by."""

_SLOW = 0.7
"""A squared decrement that falls by less from step to step asks for a Hessian of the probe's own."""

_AWAY = 4.0
"""One that grows by more is not converging."""

_TURNED = 0.5
"""A step is too long if the slope at its end is as steep the other way as this share of that at its start."""

_PILOT_STEPS = 60
_CHORD_STEPS = 60


def fit(table: Table, ask: Ask) -> Fits:
    """All probes that are asked for.

    Raises:
        SelectionError: scikit-learn's solver does not converge either.
    """
    places = {
        int(one): coordinates(table, ask.sets[one], ask.components) for one in np.unique(ask.pairs[:, 0])
    }
    outputs = outputs_of(table)
    fits = Fits(np.zeros((len(ask), table.channels, outputs)), np.zeros((len(ask), outputs)))
    left = np.arange(len(ask))
    if len(table.labels) >= _FEW * table.channels and len(ask) > 1:
        check_room(table.group_count * (outputs * (table.channels + 1)) ** 2, table.channels)
        left = _Chord(table, ask, places, fits).run()
    for probe in left:
        _fit_one(table, ask, places, fits, int(probe))
    return fits


def held_out_losses(table: Table, ask: Ask, fits: Fits, held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(probe,) the sum over held-out rows of the loss that the fit minimised the mean of, in nats.

    Args:
        table, ask, fits: of the probes.
        held_out: (probe, group) the groups to judge each probe by.
    """
    class_weights = ask.class_weights(table)
    losses = np.zeros(len(ask))
    for block in table.blocks:
        probes = np.flatnonzero(held_out[:, block.group])
        if len(probes):
            scores = fits.scores(table.features[block.rows], probes)
            losses[probes] += class_weights[probes, block.label] * _loss(scores, block.label)
    return losses


def _loss(scores: NDArray[np.floating], label: int) -> NDArray[np.float64]:
    """(probe,) summed over rows, of scores (row, probe, output)."""
    if scores.shape[-1] == 1:
        margin = scores[..., 0] if label else -scores[..., 0]
        # log(1 + exp(-margin)), which float32 can hold whatever the margin is.
        return (np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))).sum(0, dtype=np.float64)
    return -log_softmax(scores.astype(np.float64, copy=False), axis=-1)[..., label].sum(0)


def _residuals(scores: NDArray[np.floating], label: int) -> NDArray[np.floating]:
    """Probabilities less what is true, (row, probe, output): the derivative of the loss by the scores."""
    if scores.shape[-1] == 1:
        # The logistic function by tanh, which is several times faster.
        residuals = 0.5 * np.tanh(0.5 * scores)
        residuals += 0.5 - label
        return residuals
    residuals = softmax(scores, axis=-1)
    residuals[..., label] -= 1
    return residuals


Factor = tuple[NDArray[np.float64], bool]
"""What `cho_factor` gives."""


def _cholesky(matrix: NDArray[np.float64]) -> Factor | None:
    """None where rounding has left a matrix without a positive curvature in some direction."""
    try:
        return cho_factor(matrix)
    except LinAlgError:
        return None


def _solved(factor: Factor, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a right side (channel, output) whose outputs are the slow axis of the matrix."""
    return cho_solve(factor, right.ravel(order="F")).reshape(right.shape, order="F")


@dataclass(frozen=True)
class _Pilot:
    """Newton's method on all rows, at one strength: where it ended, and its Hessian by group.

    weights: (channel + 1, output), the bias last; hessians: (group, n, n) of sums over rows with
    n = (channel + 1) * output, outputs slowest. Both by the table's features.
    """

    weights: NDArray[np.float64]
    hessians: NDArray[np.float64]


class _Chord:
    """The batch: all probes of one table."""

    def __init__(self, table: Table, ask: Ask, places: dict[int, Coordinates], fits: Fits) -> None:
        self.table, self.ask, self.places, self.fits = table, ask, places, fits
        self.outputs = outputs_of(table)
        self.tolerance = _TOLERANCE[table.features.dtype.name]
        self.factors: dict[int, Factor] = {}
        self.before = np.full(len(ask), np.inf)
        self.done = np.zeros(len(ask), dtype=bool)
        self.row_weights = ask.class_weights(table)
        self.rows = (ask.trained_on @ table.counts).sum(1)
        self.strengths = np.array([ask.strengths[one] for one in ask.pairs[:, 1]])

    def run(self) -> NDArray[np.intp]:
        """Fits what converges, and says which probes did not."""
        start: NDArray[np.float64] | None = None
        # From strong to weak: each is a good start for the next.
        for one in sorted(set(self.ask.pairs[:, 1].tolist()), reverse=True):
            pilot = self._pilot(self.ask.strengths[one], start)
            if pilot is None:
                break
            start = pilot.weights
            for probe in np.flatnonzero(self.ask.pairs[:, 1] == one).tolist():
                factor = self._factored(probe, pilot.hessians)
                if factor is not None:
                    self.factors[probe] = factor
                    self._start(probe, pilot)
        active = np.array(sorted(self.factors), dtype=np.intp)
        for _ in range(_CHORD_STEPS):
            gradients = self._gradients(active)
            going = [
                probe
                for probe, gradient in zip(active.tolist(), gradients, strict=True)
                if self._step(probe, gradient)
            ]
            active = np.array(going, dtype=np.intp)
            if not len(active):
                break
        return np.flatnonzero(~self.done)

    def _step(self, probe: int, gradient: NDArray[np.float64]) -> bool:
        """One step of a probe; whether there is more to do."""
        place = self._place(probe)
        reduced = self._reduce(probe, gradient, place)
        step, decrement = self._newton(probe, reduced)
        fell = decrement / self.before[probe]
        if not fell <= _SLOW and decrement > self.tolerance:
            if not fell <= _AWAY:
                return False
            factor = self._renewed(probe)
            if factor is None:
                return False
            self.factors[probe] = factor
            step, decrement = self._newton(probe, reduced)
        self.before[probe] = decrement
        moved = place.to_table(step[:-1])
        self.fits.weights[probe] -= moved
        self.fits.bias[probe] -= step[-1] - place.mean @ moved
        self.done[probe] = decrement <= self.tolerance
        return not self.done[probe]

    def _newton(self, probe: int, reduced: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """The step by the Hessian that is kept, and the squared Newton decrement."""
        step = _solved(self.factors[probe], reduced)
        return step, float((reduced * step).sum())

    def _pilot(self, strength: float, start: NDArray[np.float64] | None) -> _Pilot | None:
        """Newton's method on all groups; None if it does not come to an end."""
        table, size = self.table, self.table.channels + 1
        everything = np.ones(table.group_count, dtype=bool)
        weights = np.zeros((size, self.outputs)) if start is None else start.copy()
        class_weights = table.class_weights(everything[None], self.ask.balanced)[0]
        total = float(table.counts.sum())
        penalty = np.append(total * strength * coordinates(table, everything, None).scale ** 2, 0.0)
        # The way there needs no more rows than tell its directions apart; only the last Hessian is of all.
        thin = max(1, int(total) // (_ENOUGH * table.channels))
        before, taken, length = weights, np.zeros_like(weights), 1.0
        slope = np.inf
        for _ in range(_PILOT_STEPS):
            gradient, hessians = self._curvature(weights, class_weights, everything, thin)
            gradient += penalty[:, None] * weights
            # Beyond the minimum along the last step the slope turns round; far beyond, it was too long.
            if (gradient * taken).sum() < -_TURNED * slope:
                length /= 2
                weights = before - length * taken
                continue
            hessian = hessians.sum(0)
            hessian[np.diag_indices_from(hessian)] += np.tile(penalty, self.outputs)
            self._tie(hessian, size, total)
            factor = _cholesky(hessian)
            if factor is None:
                return None
            taken = _solved(factor, gradient)
            slope = float((gradient * taken).sum())
            if slope < _NEAR * total:
                if thin == 1:
                    # The Hessian is that of the point before, which so near makes little difference.
                    return _Pilot(weights - taken, hessians)
                thin, slope = 1, np.inf
            before, length = weights, 1.0
            weights = before - taken
        return None

    def _curvature(
        self,
        weights: NDArray[np.float64],
        class_weights: NDArray[np.float64],
        groups: NDArray[np.bool_],
        thin: int = 1,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums over rows of some groups: the gradient (channel + 1, output), and the Hessian by group.

        Of every `thin` rows of a block the first is taken, for all of them.
        """
        table, size, outputs = self.table, self.table.channels + 1, self.outputs
        gradient: NDArray[np.float64] = np.zeros((size, outputs))
        hessians = np.zeros((table.group_count, size * outputs, size * outputs))
        one = Fits(weights[None, :-1], weights[None, -1])
        for block in table.blocks:
            if not groups[block.group]:
                continue
            rows = table.features[block.start : block.stop : thin]
            weight = class_weights[block.label] * (block.stop - block.start) / len(rows)
            residuals = _residuals(one.scores(rows, np.array([0])), block.label)[:, 0]
            gradient[:-1] += weight * (rows.T @ residuals)
            gradient[-1] += weight * residuals.sum(0, dtype=np.float64)
            chances = residuals.copy()
            chances[:, 0 if outputs == 1 else block.label] += block.label if outputs == 1 else 1
            into = hessians[block.group].reshape(outputs, size, outputs, size)
            for i in range(outputs):
                for j in range(i, outputs):
                    bend = chances[:, i] * ((1 - chances[:, i]) if i == j else -chances[:, j])
                    bent = rows * bend[:, None]
                    part = np.empty((size, size))
                    part[:-1, :-1] = rows.T @ bent
                    part[-1, :-1] = part[:-1, -1] = bend @ rows
                    part[-1, -1] = bend.sum(dtype=np.float64)
                    into[i, :, j] += weight * part
                    if i != j:
                        into[j, :, i] += weight * part
        return gradient, hessians

    def _start(self, probe: int, pilot: _Pilot) -> None:
        """Puts a probe where the pilot ended, or as near to it as its own components allow."""
        place = self._place(probe)
        near = place.to_table(place.nearest(pilot.weights[:-1]))
        self.fits.weights[probe] = near
        self.fits.bias[probe] = pilot.weights[-1] + place.mean @ (pilot.weights[:-1] - near)

    def _factored(self, probe: int, hessians: NDArray[np.float64]) -> Factor | None:
        """The Hessian of one probe's objective in its own coordinates, factored, from sums by group."""
        place = self._place(probe)
        outputs, size = self.outputs, self.table.channels + 1
        summed = np.tensordot(self.ask.trained_on[probe], hessians, 1) / self.rows[probe]
        parts = summed.reshape(outputs, size, outputs, size)
        kept = self.table.channels if place.basis is None else place.basis.shape[1]
        result = np.zeros((outputs, kept + 1, outputs, kept + 1))
        for i in range(outputs):
            for j in range(outputs):
                part = parts[i, :, j]
                # By the chain rule: the bias of centred features moves with the weights.
                side = part[:-1, -1] - part[-1, -1] * place.mean
                inner = part[:-1, :-1] - np.outer(place.mean, part[-1, :-1]) - np.outer(side, place.mean)
                result[i, :-1, j, :-1] = place.turned(inner)
                result[i, :-1, j, -1] = result[i, -1, j, :-1] = place.from_table(side)
                result[i, -1, j, -1] = part[-1, -1]
        flat = result.reshape(outputs * (kept + 1), -1)
        penalty = np.append(np.full(kept, self.strengths[probe]), 0.0)
        flat[np.diag_indices_from(flat)] += np.tile(penalty, outputs)
        self._tie(flat, kept + 1, 1.0)
        return _cholesky(flat)

    def _renewed(self, probe: int) -> Factor | None:
        """The Hessian where the probe is now, on its own rows."""
        weights = np.concatenate([self.fits.weights[probe], self.fits.bias[probe][None]])
        class_weights = self.ask.class_weights(self.table)[probe]
        _, hessians = self._curvature(weights, class_weights, self.ask.trained_on[probe])
        return self._factored(probe, hessians)

    def _place(self, probe: int) -> Coordinates:
        return self.places[int(self.ask.pairs[probe, 0])]

    def _tie(self, hessian: NDArray[np.float64], size: int, weight: float) -> None:
        """Adds what nothing else determines, the sum of the biases, along which no gradient points."""
        if self.outputs > 1:
            biases = np.arange(self.outputs) * size + size - 1
            hessian[np.ix_(biases, biases)] += weight

    def _gradients(self, probes: NDArray[np.intp]) -> NDArray[np.float64]:
        """(probe, channel + 1, output) of the mean loss by the table's features, without the penalty."""
        table, outputs = self.table, self.outputs
        result = np.zeros((len(probes), table.channels + 1, outputs))
        trained_on = self.ask.trained_on[probes]
        for block in table.blocks:
            inside = np.flatnonzero(trained_on[:, block.group])
            if not len(inside):
                continue
            rows = table.features[block.rows]
            residuals = _residuals(self.fits.scores(rows, probes[inside]), block.label)
            weight = self.row_weights[probes[inside], block.label] / self.rows[probes[inside]]
            flat = residuals.reshape(len(rows), -1)
            products = (rows.T @ flat).reshape(-1, len(inside), outputs).transpose(1, 0, 2)
            result[inside, :-1] += weight[:, None, None] * products
            result[inside, -1] += weight[:, None] * residuals.sum(0, dtype=np.float64)
        return result

    def _reduce(self, probe: int, gradient: NDArray[np.float64], place: Coordinates) -> NDArray[np.float64]:
        """The gradient of the whole objective in the probe's own coordinates, the bias last."""
        own = place.nearest(self.fits.weights[probe])
        by_weights = place.from_table(gradient[:-1] - place.mean[:, None] * gradient[-1])
        return np.concatenate([by_weights + self.strengths[probe] * own, gradient[-1:]])


def _fit_one(table: Table, ask: Ask, places: dict[int, Coordinates], fits: Fits, probe: int) -> None:
    """One probe by scikit-learn, put into `fits`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    training, one = ask.pairs[probe]
    place = places[int(training)]
    rows = table.rows_of(ask.sets[training])
    labels = table.labels[rows]
    model = LogisticRegression(
        C=1 / (ask.strengths[one] * len(rows)), solver="newton-cholesky", tol=1e-8, max_iter=200
    )
    weights = ask.class_weights(table)[probe][labels]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(place.forward(table.features[rows].astype(np.float64)), labels, sample_weight=weights)
        except ConvergenceWarning as error:
            raise SelectionError(
                f"a logistic probe of strength {ask.strengths[one]:g} does not converge on {len(rows)} rows; "
                "choose greater strengths, or fewer components"
            ) from error
    fits.weights[probe] = place.to_table(model.coef_.T)
    fits.bias[probe] = model.intercept_ - place.mean @ fits.weights[probe]
