"""What can be made of the answers of several seeds: votes, selection, verification.

Nothing of this needs a model. Answers are pictures by number (`outcomes.Measured`), and the seeds of a maze
are alike, so each rule is applied to the seeds in several orders, drawn once for all mazes, and what comes of
it is the mean over the orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

ORDERS = 64
_SEED = 0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a rule, or of a scheme.

    Attributes:
        solved: float (maze,): the share of orders, or of answers, that end with the true path.
        evaluations: of the denoiser a maze, the mean over mazes and orders.
    """

    solved: np.ndarray
    evaluations: float


def orders(seeds: int, leading: int = 0) -> np.ndarray:
    """Orders of seeds 0 to ``seeds - 1``: int (order, seed), the same in every call.

    The first ``leading`` are always the first.
    """
    if seeds - leading < 2:
        return np.arange(seeds)[None]
    rng = np.random.default_rng(_SEED)
    first = np.arange(leading)
    others = [leading + rng.permutation(seeds - leading) for _ in range(ORDERS)]
    return np.stack([np.concatenate([first, other]) for other in others])


def voted(pictures: np.ndarray) -> np.ndarray:
    """Which answer wins: int (maze,) places in ``pictures`` (maze, answer).

    The picture that most of them drew; of several such, the one that was drawn first.
    """
    return _alike(pictures).sum(axis=-1).argmax(axis=1)


def vote(pictures: np.ndarray, solved: np.ndarray, count: int, cost: float) -> Outcome:
    """The majority of ``count`` seeds.

    Args:
        pictures: int (maze, seed): what each seed drew at the end.
        solved: bool (maze, seed): whether that is the true path.
        count: seeds that vote.
        cost: evaluations of a seed.
    """
    return _chosen(pictures, solved, count, cost * count, lambda order: voted(pictures[:, order]))


def cleanest(pictures: np.ndarray, solved: np.ndarray, blur: np.ndarray, count: int, cost: float) -> Outcome:
    """The best of ``count`` seeds by how cleanly the video is drawn: the least ``blur`` (maze, seed)."""
    return _chosen(pictures, solved, count, cost * count, lambda order: blur[:, order].argmin(axis=1))


def any_of(solved: np.ndarray, count: int, cost: float) -> Outcome:
    """Whether any of ``count`` seeds draws the true path: what a judge that knows the answer could choose.

    The mean over all choices of ``count`` of the seeds, in closed form.
    """
    seeds = solved.shape[1]
    wrong = (~solved).sum(axis=1)

    def log_choices(of: np.ndarray) -> np.ndarray:
        return gammaln(of + 1) - gammaln(count + 1) - gammaln(np.maximum(of - count, 0) + 1)

    share = np.exp(log_choices(wrong.astype(float)) - log_choices(np.array(float(seeds))))
    return Outcome(1 - np.where(wrong >= count, share, 0.0), cost * count)


def until_agreed(
    pictures: np.ndarray, solved: np.ndarray, needed: int, cost: float, leading: int = 0
) -> Outcome:
    """One seed after another until ``needed`` of them drew the same, which is the answer.

    If no picture is drawn so often by any of the seeds there are, the majority of all. The first ``leading``
    always begin.
    """
    mazes, seeds = len(pictures), pictures.shape[1]
    found = np.zeros(mazes)
    used = np.zeros(mazes)
    rows = np.arange(mazes)
    every = orders(seeds, leading)
    for order in every:
        ordered = pictures[:, order]
        same = np.tril(_alike(ordered)).sum(axis=-1)
        reached = same >= needed
        ends = reached.any(axis=1)
        place = np.where(ends, reached.argmax(axis=1), voted(ordered))
        found += solved[:, order][rows, place]
        used += np.where(ends, place + 1, seeds)
    return Outcome(found / len(every), cost * float(used.mean()) / len(every))


def voted_early(
    early: np.ndarray, solved: np.ndarray, count: int, early_cost: float, rest_cost: float
) -> Outcome:
    """The majority of the clean estimates of ``count`` seeds; one seed that drew it goes on.

    Args:
        early: int (maze, seed): what each seed's clean estimate shows at the step where the others stop.
        solved: bool (maze, seed): whether each seed would end with the true path.
        count: seeds that are begun.
        early_cost, rest_cost: evaluations of a seed up to then, and after.
    """
    cost = early_cost * count + rest_cost
    return _chosen(early, solved, count, cost, lambda order: voted(early[:, order]))


def nearest_early(
    apart: np.ndarray, solved: np.ndarray, count: int, early_cost: float, rest_cost: float
) -> Outcome:
    """Of ``count`` seeds the one goes on whose clean estimate is nearest to the others'.

    Args:
        apart: float (maze, seed, seed), as `distances`.
        solved, count, early_cost, rest_cost: as in `voted_early`.
    """

    def nearest(order: np.ndarray) -> np.ndarray:
        return apart[:, order][:, :, order].sum(axis=-1).argmin(axis=1)

    return _chosen(apart[:, :, 0], solved, count, early_cost * count + rest_cost, nearest)


def distances(pictures: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """1 - intersection over union of the path cells of each two seeds: float32 (maze, seed, seed).

    Args:
        pictures: int (maze, seed).
        drawn: bool (picture, row, col).
    """
    cells = drawn.reshape(len(drawn), -1)[pictures].astype(np.float32)
    both = np.einsum("msc,mtc->mst", cells, cells)
    size = cells.sum(axis=-1)
    either = size[:, :, None] + size[:, None, :] - both
    return np.where(either > 0, 1 - both / np.maximum(either, 1), 0).astype(np.float32)


def until_verified(right: np.ndarray, costs: np.ndarray, most: int, leading: int = 0) -> Outcome:
    """One seed after another, each stopped at the first look that shows a path to the goal, then the answer.

    To tell that a picture is a path to the named goal takes the maze, not the answer; but whoever can tell it
    can also find the path, so this is no ensemble but what a verifier is worth. In a maze that has one path,
    it is the true one.

    Args:
        right: bool (look, maze, seed): whether each look shows it; the last look is the final video.
        costs: float (look,): evaluations of a seed up to each look.
        most: seeds at most.
        leading: so many of the seeds always begin.
    """
    seen: np.ndarray = np.asarray(right.any(axis=0))
    spent = np.where(seen, costs[right.argmax(axis=0)], costs[-1])
    mazes, seeds = len(seen), seen.shape[1]
    found = np.zeros(mazes)
    used = np.zeros(mazes)
    every = orders(seeds, leading)
    for order in every:
        first, paid = seen[:, order[:most]], spent[:, order[:most]]
        ends = first.any(axis=1)
        last = np.where(ends, first.argmax(axis=1), most - 1)
        found += ends
        used += np.cumsum(paid, axis=1)[np.arange(mazes), last]
    return Outcome(found / len(every), float(used.mean()) / len(every))


def _alike(pictures: np.ndarray) -> np.ndarray:
    """Which answers drew the same: bool (maze, answer, answer)."""
    return np.equal(pictures[:, :, None], pictures[:, None, :])


def _chosen(
    like: np.ndarray,
    solved: np.ndarray,
    count: int,
    cost: float,
    choose: Callable[[np.ndarray], np.ndarray],
) -> Outcome:
    """The mean over orders of what the seed ends with that ``choose`` gives of the first ``count``."""
    rows = np.arange(len(like))
    every = orders(like.shape[1])
    found = np.zeros(len(like))
    for order in every:
        first = order[:count]
        found += solved[:, first][rows, choose(first)]
    return Outcome(found / len(every), cost)
