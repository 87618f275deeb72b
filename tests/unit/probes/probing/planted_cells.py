"""Cells with signals planted in them, made from numbers alone."""

import numpy as np

from probes.probing.problem import Problem


def layout(samples, places=9, seeds=1):
    """(samples, slots, types) of rows: each place of each seed of each sample."""
    slots = np.tile(np.arange(places * seeds), samples)
    return np.repeat(np.arange(samples), places * seeds), slots, slots % places


def problem_of(labels, samples, slots, types=None, kind=None):
    """A problem of labels, with classes named by their codes."""
    labels = np.asarray(labels)
    if labels.dtype.kind == "f":
        return Problem("number", labels, (), samples, slots, types)
    count = int(labels.max()) + 1
    kind = kind or ("binary" if count == 2 else "classes")
    return Problem(kind, labels, tuple(f"c{code}" for code in range(count)), samples, slots, types)


def planted(
    kind="binary",
    samples=20,
    places=9,
    seeds=1,
    channels=6,
    strength=1.0,
    seed=0,
    dtype=np.float64,
    classes=3,
):
    """Features with a linear trace of the labels in all channels, of very different means and scales."""
    rng = np.random.default_rng(seed)
    of, slots, types = layout(samples, places, seeds)
    rows = len(of)
    features = rng.normal(size=(rows, channels)) + rng.normal(size=(samples, channels))[of]
    latent = rng.normal(size=(rows, 1 if kind != "classes" else classes))
    features += strength * latent @ rng.normal(size=(latent.shape[1], channels))
    if kind == "number":
        labels = latent[:, 0] * 3 + 5
    elif kind == "binary":
        labels = (latent[:, 0] > 0.5).astype(int)
    else:
        labels = (latent + np.arange(classes) * 0.3).argmax(1)
    features = features * 10.0 ** rng.integers(-2, 3, channels) + rng.normal(size=channels) * 5
    return features.astype(dtype), problem_of(labels, of, slots, types, kind=kind)
