"""Baselines: what can be predicted without the activations in question.

==============  =============================================================================================
``step``        nothing but the step, which all rows share: what the training folds' labels say by themselves
``position``    where a token lies: one-hot frame, row and column
``condition``   what the run was made from: the first image's pixels under the token, and the prompt's words
``latent``      the noisy latent x_t under the token, before any layer
``untrained``   the same cell of a model of the same anatomy with random weights, read from another store
==============  =============================================================================================

Where a row is a frame or a run, latents and pixels are averaged as the activations are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing.chosen import Chosen, choose
from probes.probing.features import Features, Float32
from probes.probing.rows import Rows
from stores import Store
from stores.errors import SelectionError, StoreError

STEP, POSITION, CONDITION, LATENT, UNTRAINED = "step", "position", "condition", "latent", "untrained"
_FINEST = 4
"""Pixels under a token are averaged to at most so many blocks a side."""


@dataclass(frozen=True)
class Baseline:
    """Features that do not depend on the layer.

    Attributes:
        name: one of those above.
        by_step: whether they depend on the step.
        at: (row, channel) at a step.
    """

    name: str
    by_step: bool
    at: Callable[[int], Float32]


def baselines(chosen: Chosen, rows: Rows) -> tuple[list[Baseline], list[str]]:
    """Those that can be made of what the store holds, and why others cannot, a line each."""
    found = [Baseline(STEP, False, lambda _: np.ones((rows.problem.rows, 1), np.float32))]
    notes: list[str] = []
    if rows.tokens is not None:
        found.append(Baseline(POSITION, False, lambda _: _positions(chosen, rows)))
    with chosen.store.run(*rows.entries[0].key) as run:
        has_latents, has_image = run.has_latents, run.image is not None
        factors = _patch(run.noisy(0), chosen.info.grid) if has_latents else None
    if _differ_in_condition(chosen, rows) or has_image:
        found.append(Baseline(CONDITION, False, lambda _: _conditions(chosen, rows)))
    else:
        notes.append("no baseline condition: all runs have the same prompt and no first image")
    if factors is not None:
        found.append(Baseline(LATENT, True, lambda step: _latents(chosen, rows, step)))
    elif has_latents:
        notes.append("no baseline latent: the latent is no multiple of the token grid")
    else:
        notes.append("no baseline latent: the runs were stored without latents")
    return found, notes


def untrained_features(store: Store, chosen: Chosen, rows: Rows) -> Features:
    """The same rows in the store of an untrained model.

    Raises:
        SelectionError: it lacks runs, steps or layers, or has other tokens.
    """
    if store.path.resolve() == chosen.store.path.resolve():
        raise SelectionError(f"untrained: {store.path} is the store that is probed; name another")
    variant = rows.entries[0].variant
    have = {entry.key for entry in store.runs(variant=variant)}
    for entry in rows.entries:
        if entry.key not in have:
            raise SelectionError(
                f"untrained: {store.path} has no run of {entry.sample} seed {entry.seed}; trace it with "
                f"--follow {chosen.store.path}"
            )
    there = choose(
        store,
        site=chosen.info.site,
        reduction=chosen.info.reduction,
        branch=chosen.branch,
        steps=chosen.steps,
        layers=chosen.layers,
        samples=rows.names,
        seeds=sorted({entry.seed for entry in rows.entries}),
        variant=variant,
    )
    same_places = (chosen.places is None and there.places is None) or (
        chosen.places is not None and there.places is not None and np.array_equal(chosen.places, there.places)
    )
    if there.info.shape != chosen.info.shape or there.info.grid != chosen.info.grid or not same_places:
        raise SelectionError(
            f"untrained: {store.path} has other tokens or channels than {chosen.store.path} at site "
            f"{chosen.info.key}; an untrained model has the same anatomy"
        )
    return Features(store, there, rows)


def saw_the_same(untrained: Features, chosen: Chosen) -> bool:
    """Whether both models were shown the same noisy latents, by those of the first run at the last step.

    True where latents were not stored, so that nothing tells.
    """
    key, step = untrained.rows.entries[0].key, chosen.steps[-1]
    with chosen.store.run(*key) as run, untrained.store.run(*key) as other:
        if not (run.has_latents and other.has_latents):
            return True
        return np.array_equal(run.noisy(step), other.noisy(step))


def _positions(chosen: Chosen, rows: Rows) -> Float32:
    if rows.tokens is None:
        raise ValueError("only tokens have positions")
    places = np.unravel_index(rows.tokens.places, chosen.info.grid)
    parts = [
        np.eye(length, dtype=np.float32)[at] for length, at in zip(chosen.info.grid, places, strict=True)
    ]
    return np.tile(np.concatenate(parts, axis=1), (len(rows.entries), 1))


def _latents(chosen: Chosen, rows: Rows, step: int) -> Float32:
    parts: list[Float32] = []
    for entry in rows.entries:
        with chosen.store.run(*entry.key) as run:
            noisy = run.noisy(step)
            patch = _patch(noisy, chosen.info.grid)
            if patch is None:
                raise StoreError(f"{run.path}: its latent is no multiple of the token grid")
            frames, rows_, cols = chosen.info.grid
            cut = noisy.reshape(len(noisy), frames, patch[0], rows_, patch[1], cols, patch[2])
            tokens = cut.transpose(1, 3, 5, 0, 2, 4, 6).reshape(frames, rows_, cols, -1)
        parts.append(_of_rows(tokens, rows))
    return np.concatenate(parts)


def _patch(noisy: Float32, grid: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """How many latent frames, rows and columns lie under a token; None if that is no whole number."""
    sizes = noisy.shape[1:]
    if any(size % length for size, length in zip(sizes, grid, strict=True)):
        return None
    frames, rows, cols = (size // length for size, length in zip(sizes, grid, strict=True))
    return frames, rows, cols


def _conditions(chosen: Chosen, rows: Rows) -> Float32:
    """Pixels under each row and the words of its prompt. Of words, which occur."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import CountVectorizer

    prompts: list[str] = []
    pixels: list[Float32] = []
    for entry in rows.entries:
        with chosen.store.run(*entry.key) as run:
            prompts.append(run.prompt)
            image = run.image
        if image is not None:
            cells = _under_tokens(image, chosen.info.grid[1:])
            pixels.append(_of_rows(np.broadcast_to(cells, (chosen.info.grid[0], *cells.shape)), rows))
    if len(pixels) not in (0, len(rows.entries)):
        raise SelectionError(
            f"{chosen.store.path}: some runs have a first image and some none; choose samples of one kind, "
            "or leave out baselines"
        )
    parts: list[Float32] = [np.concatenate(pixels)] if pixels else []
    if any(prompt.strip() for prompt in prompts):
        # Single letters count: the name of a goal may be one.
        words = CountVectorizer(binary=True, token_pattern=r"\w+").fit_transform(prompts)
        parts.append(np.repeat(csr_array(words).toarray().astype(np.float32), rows.per_run, axis=0))
    return np.concatenate(parts, axis=1) if parts else np.ones((rows.problem.rows, 1), np.float32)


def _under_tokens(image: NDArray[np.uint8], grid: tuple[int, int]) -> Float32:
    """(row, col, channel): the pixels under each token of a frame, from 0 to 1, averaged in blocks."""
    shape = image.shape[:2]
    blocks = [max(1, min(_FINEST, size // length)) for size, length in zip(shape, grid, strict=True)]
    edges = [
        np.linspace(0, size, length * fine, endpoint=False).astype(np.intp)
        for size, length, fine in zip(shape, grid, blocks, strict=True)
    ]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), edges[0], axis=0), edges[1], axis=1)
    heights, widths = (np.diff(edge, append=size) for edge, size in zip(edges, shape, strict=True))
    means = sums / (255 * heights[:, None, None] * widths[None, :, None])
    cut = means.reshape(grid[0], blocks[0], grid[1], blocks[1], -1).transpose(0, 2, 1, 3, 4)
    return cut.reshape(*grid, -1).astype(np.float32)


def _of_rows(tokens: Float32, rows: Rows) -> Float32:
    """Of (frame, row, col, channel), all of a token grid, what belongs to the rows of a run."""
    channels = tokens.shape[-1]
    if rows.tokens is not None:
        return tokens.reshape(-1, channels)[rows.tokens.places]
    by_frame = tokens[list(rows.frames)].reshape(len(rows.frames), -1, channels)
    if rows.unit == "frame":
        return by_frame.mean(axis=1)
    return by_frame.reshape(-1, channels).mean(axis=0, keepdims=True)


def _differ_in_condition(chosen: Chosen, rows: Rows) -> bool:
    prompts: set[str] = set()
    for entry in rows.entries:
        with chosen.store.run(*entry.key) as run:
            prompts.add(run.prompt)
    return len(prompts) > 1
