"""Least squares with a penalty: every fold and every strength from sums over groups of samples.

A probe minimises mean_i u_i (y_i - w z_i - b)^2 + strength * w^2 over standardised features z, u_i being the
weight of the row's class. Of n rows that is scikit-learn's `Ridge(alpha=strength * n)`; with classes coded -1
and 1, its `RidgeClassifier`. One eigendecomposition a training set serves all strengths (Hoerl and Kennard,
Technometrics 12 (1970) 55; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section
3.4.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.probing.coordinates import Coordinates, coordinates
from probes.probing.fits import Ask, Fits, outputs_of
from probes.probing.table import Table


def fit(table: Table, ask: Ask) -> Fits:
    """All probes that are asked for, in closed form."""
    outputs = outputs_of(table)
    weights = np.zeros((len(ask), table.channels, outputs))
    bias = np.zeros((len(ask), outputs))
    class_weights = table.class_weights(ask.sets, ask.balanced)
    for index in np.unique(ask.pairs[:, 0]):
        probes = np.flatnonzero(ask.pairs[:, 0] == index)
        strengths = np.array([ask.strengths[one] for one in ask.pairs[probes, 1]])
        training = ask.sets[index]
        place = coordinates(table, training, ask.components)
        system = _from_rows if (training @ table.counts).sum() <= table.channels else _from_sums
        second, first, mean_x, mean_y, count = system(table, training, class_weights[index], place)
        values, vectors = np.linalg.eigh(second)
        turned = vectors.T @ first
        shrunk = turned[None] / (values[None, :, None] + strengths[:, None, None] * count)
        solved = np.einsum("ij,pjo->ipo", vectors, shrunk)
        weights[probes] = place.to_table(solved).transpose(1, 0, 2)
        bias[probes] = mean_y - np.einsum("c,pco->po", mean_x, weights[probes])
    return Fits(weights, bias)


def held_out_losses(table: Table, ask: Ask, fits: Fits, held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(probe,) the sum over held-out rows of the squared error that the fit minimised the mean of.

    Args:
        table, ask, fits: of the probes.
        held_out: (probe, group) the groups to judge each probe by.
    """
    class_weights = ask.class_weights(table)
    losses = np.zeros(len(ask))
    for block in table.blocks:
        probes = np.flatnonzero(held_out[:, block.group])
        if len(probes):
            rows = table.features[block.rows].astype(np.float64, copy=False)
            errors = fits.scores(rows, probes) - _targets(table, block.rows)[:, None, :]
            losses[probes] += class_weights[probes, block.label] * np.einsum("rpo,rpo->p", errors, errors)
    return losses


def _from_sums(
    table: Table, training: NDArray[np.bool_], class_weights: NDArray[np.float64], place: Coordinates
) -> tuple[NDArray, NDArray, NDArray, NDArray, float]:
    """(second moments, first moments, mean features, mean targets, weight) of a training set."""
    counts = (training @ table.counts) * class_weights
    total = float(counts.sum())
    sums = np.tensordot(training, table.sums, 1) * class_weights[:, None]
    mean_x = sums.sum(0) / total
    grams = np.tensordot(training, table.grams, 1)
    second = np.tensordot(class_weights, grams, 1) - total * np.outer(mean_x, mean_x)
    if table.class_count:
        codes = class_codes(table.class_count)
        products, targets = sums.T @ codes, counts @ codes
    else:
        products = np.tensordot(training, table.products, 1).T
        targets = np.tensordot(training, table.label_sums, 1)[:, 0]
    mean_y = targets / total
    first = place.from_table(products - total * np.outer(mean_x, mean_y))
    return place.turned(second), first, mean_x, mean_y, total


def _from_rows(
    table: Table, training: NDArray[np.bool_], class_weights: NDArray[np.float64], place: Coordinates
) -> tuple[NDArray, NDArray, NDArray, NDArray, float]:
    """The same, where there are too few rows for products of all channels to be worth it."""
    rows = table.rows_of(training)
    labels = table.labels[rows]
    weights = class_weights[labels] if table.class_count else np.ones(len(rows))
    total = float(weights.sum())
    features = table.features[rows].astype(np.float64, copy=False)
    mean_x, targets = weights @ features / total, _targets(table, rows)
    mean_y = weights @ targets / total
    turned = place.forward(features)
    centred = turned - weights @ turned / total
    weighted = centred * weights[:, None]
    return weighted.T @ centred, weighted.T @ (targets - mean_y), mean_x, mean_y, total


def class_codes(classes: int) -> NDArray[np.float64]:
    """(class, output): what least squares regresses on. 1 for the class, -1 for the others."""
    return np.array([[-1.0], [1.0]]) if classes == 2 else 2 * np.eye(classes) - 1


def _targets(table: Table, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    labels = table.labels[rows]
    return class_codes(table.class_count)[labels] if table.class_count else labels[:, None].astype(np.float64)
