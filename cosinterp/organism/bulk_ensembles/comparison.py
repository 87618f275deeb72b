"""Every way to an answer from the same mazes: its cost, its gain, and what a vote would give for as much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.bulk_ensembles.answers import (
    Outcome,
    any_of,
    cleanest,
    distances,
    nearest_early,
    until_agreed,
    until_verified,
    vote,
    voted_early,
)
from cosinterp.organism.bulk_ensembles.choice import BASE, NOISELESS
from cosinterp.organism.bulk_ensembles.outcomes import Answers, Measured
from cosinterp.organism.bulk_ensembles.schemes import Scheme
from probes.statistics import Estimate, means

SINGLE, VOTE, ANY, SELECTED, VERIFIED = "single seed", "vote", "any of K", "selected seed", "verified"
KNOWING = (ANY, VERIFIED)
"""The families that need to know what is right, or to be able to tell."""
_FEW = (3, 8, 16)


@dataclass(frozen=True, eq=False)
class Way:
    """A way to an answer.

    Attributes:
        name: of the way.
        family: what kind it is.
        outcome: what came of it.
        own: float (maze,): what the seeds whose noise it goes on with solve by themselves, the mean over
            them; None: it has no such seeds.
    """

    name: str
    family: str
    outcome: Outcome
    own: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """A way, beside single seeds and beside a vote of them.

    Attributes:
        way: which.
        solved: share of mazes.
        gain: over a single seed, the mean over all seeds, paired by maze.
        over_own: over its own seeds alone (`Way.own`), paired by maze.
        times: its evaluations over those of a single seed.
        voters: how many seeds vote for at least as many evaluations; None: more than there are.
        over_vote: solved by the way minus solved by their vote, paired by maze.
    """

    way: Way
    solved: Estimate
    gain: Estimate
    over_own: Estimate | None
    times: float
    voters: int | None
    over_vote: Estimate | None


class Ways:
    """All ways that can be made of a file of outcomes.

    Raises:
        UserError: the single seeds are not in it.
    """

    def __init__(self, measured: Measured) -> None:
        """Compute them."""
        if BASE.name not in measured.answers:
            raise UserError(f"the outcomes lack the scheme {BASE.name}, which all others are compared with")
        self.measured = measured
        self._base = measured.answers[BASE.name]
        self._cost = measured.evaluations(BASE.name) / self._base.scheme.answers
        self._solved = measured.solved(self._base.final)
        self.single = Way(SINGLE, SINGLE, Outcome(self._solved.mean(axis=1), self._cost))
        counts = range(2, self.seeds + 1)
        self.votes = [self._vote(count) for count in counts]
        self.any = [Way(f"any of {count}", ANY, any_of(self._solved, count, self._cost)) for count in counts]
        self.rules = [*self._selected(), *self._early(), *self._verified()]
        self.schemes = [
            way
            for name, answers in measured.answers.items()
            if name != BASE.name
            for way in self._of_scheme(answers)
        ]

    @property
    def seeds(self) -> int:
        """Single seeds of each maze."""
        return self._base.scheme.answers

    @property
    def by_seed(self) -> np.ndarray:
        """What each single seed solves: bool (maze, seed)."""
        return self._solved

    @property
    def mazes(self) -> list[int]:
        """The unit that intervals are drawn over."""
        return list(range(len(self.measured.named)))

    def every(self) -> list[Way]:
        """All of them."""
        return [self.single, *self.votes, *self.any, *self.rules, *self.schemes]

    def compare(self, ways: Sequence[Way], within: np.ndarray | None = None) -> list[Compared]:
        """Shares and paired differences with their intervals, all from the same draws of mazes.

        Args:
            ways: which.
            within: bool (maze,): of these mazes only.
        """
        mazes = np.arange(len(self.mazes)) if within is None else np.flatnonzero(within)
        voters = [self._voters(way.outcome.evaluations) for way in ways]
        solved = np.stack([way.outcome.solved[mazes] for way in ways], axis=1)
        single = self.single.outcome.solved[mazes]
        compared_with = np.stack([self._voted(count).outcome.solved[mazes] for count in voters], axis=1)
        units = mazes.tolist()
        shares = means(solved, units, bounds=(0, 1))
        gains = means(solved - single[:, None], units)
        over = means(solved - compared_with, units)
        own = np.stack([single if way.own is None else way.own[mazes] for way in ways], axis=1)
        over_own = means(solved - own, units)
        return [
            Compared(
                way,
                share,
                gain,
                None if way.own is None else beside_own,
                way.outcome.evaluations / self._cost,
                count,
                None if count is None else beside,
            )
            for way, share, gain, beside_own, count, beside in zip(
                ways, shares, gains, over_own, voters, over, strict=True
            )
        ]

    def beside(self, first: Sequence[Way], second: Sequence[Way]) -> list[Estimate]:
        """Solved by the first minus solved by the second, pair by pair, paired by maze."""
        solved = [one.outcome.solved - other.outcome.solved for one, other in zip(first, second, strict=True)]
        return means(np.stack(solved, axis=1), self.mazes)

    def named(self, name: str) -> Way:
        """The way of a name.

        Raises:
            UserError: there is none.
        """
        found = next((way for way in self.every() if way.name == name), None)
        if found is None:
            raise UserError(f"the outcomes give no way that is called {name!r}")
        return found

    def best_by_cost(self, limits: Sequence[float]) -> list[tuple[float, Way]]:
        """The way that solves most for at most so many times a single seed's cost, knowing no answers."""
        fair = [way for way in self.every() if way.family not in KNOWING]
        found = []
        for limit in limits:
            within = [way for way in fair if way.outcome.evaluations <= limit * self._cost * (1 + 1e-9)]
            if within:
                found.append((limit, max(within, key=lambda way: float(way.outcome.solved.mean()))))
        return found

    def _vote(self, count: int) -> Way:
        outcome = vote(self._base.final, self._solved, count, self._cost)
        return Way(f"vote of {count}", VOTE, outcome)

    def _voters(self, evaluations: float) -> int | None:
        count = math.ceil(evaluations / self._cost - 1e-9)
        return max(1, count) if count <= self.seeds else None

    def _voted(self, count: int | None) -> Way:
        return self.single if count is None or count < 2 else self.votes[count - 2]

    def _selected(self) -> Iterator[Way]:
        final = self._base.final
        for count in self._few():
            outcome = cleanest(final, self._solved, self._base.blur, count, self._cost)
            yield Way(f"cleanest of {count}", SELECTED, outcome)
        for needed in (2, 3, 4):
            if needed <= self.seeds:
                outcome = until_agreed(final, self._solved, needed, self._cost)
                yield Way(f"until {needed} agree, at most {self.seeds}", VOTE, outcome)
        if self._noiseless is None:
            return
        pictures, solved = self._after_noiseless(final)
        for needed in (2, 3):
            outcome = until_agreed(pictures, solved, needed, self._cost, leading=1)
            yield Way(f"{NOISELESS.name} first, until {needed} agree", VOTE, outcome)

    @property
    def _noiseless(self) -> np.ndarray | None:
        """What is drawn without any initial noise, int (maze, 1), for as many evaluations as a seed."""
        answers = self.measured.answers.get(NOISELESS.name)
        return None if answers is None else answers.final

    def _after_noiseless(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is drawn without noise, then by each seed; and whether that is the true path."""
        if self._noiseless is None:
            raise ValueError(f"{NOISELESS.name} was not measured")
        every = np.concatenate([self._noiseless, pictures], axis=1)
        return every, self.measured.solved(every)

    def _early(self) -> Iterator[Way]:
        if self._base.early is None:
            return
        for step, early in zip(self.measured.settings.recorded, self._base.early, strict=True):
            before = self._cost_to(step)
            rest = self._cost - before
            apart = distances(early, self.measured.pictures)
            for count in self._few():
                outcome = voted_early(early, self._solved, count, before, rest)
                yield Way(f"vote of {count} x̂0 at step {step}, one goes on", SELECTED, outcome)
                outcome = nearest_early(apart, self._solved, count, before, rest)
                yield Way(f"medoid of {count} x̂0 at step {step} goes on", SELECTED, outcome)

    def _verified(self) -> Iterator[Way]:
        final = self._solved[None]
        most = [count for count in (1, 2, 4, 8, 16) if count <= self.seeds]
        for count in most[1:]:
            outcome = until_verified(final, np.array([self._cost]), count)
            yield Way(f"videos until verified, at most {count} seeds", VERIFIED, outcome)
        if self._noiseless is not None:
            _, solved = self._after_noiseless(self._base.final)
            for count in most[1:]:
                outcome = until_verified(solved[None], np.array([self._cost]), count, leading=1)
                name = f"{NOISELESS.name} first, videos until verified, at most {count}"
                yield Way(name, VERIFIED, outcome)
        if self._base.early is None:
            return
        looks = np.concatenate([self.measured.solved(self._base.early), final])
        costs = np.array([*map(self._cost_to, self.measured.settings.recorded), self._cost])
        for count in most:
            outcome = until_verified(looks, costs, count)
            yield Way(f"x̂0 until verified, at most {count} seeds", VERIFIED, outcome)

    def _few(self) -> list[int]:
        return [count for count in _FEW if count <= self.seeds]

    def _cost_to(self, step: int) -> float:
        """Evaluations of a single seed up to a step's clean estimate."""
        return self._cost * (step + 1) / self.measured.settings.num_steps

    def _of_scheme(self, answers: Answers) -> Iterator[Way]:
        scheme, solved = answers.scheme, self.measured.solved(answers.final)
        family, total = family_of(scheme), self.measured.evaluations(scheme.name)
        if scheme.then == "all" and scheme.seeds > 1:
            outcome = vote(answers.final, solved, scheme.answers, total / scheme.answers)
            yield Way(f"{scheme.name}, vote", family, outcome)
            yield Way(f"{scheme.name}, any", ANY, any_of(solved, scheme.answers, total / scheme.answers))
            return
        # Groups do not know of one another, so each is an answer of its own.
        cost = total / scheme.groups
        yield Way(scheme.name, family, Outcome(solved.mean(axis=1), cost), self._own(scheme))
        for count in (3, 4, 5, 8, 16):
            if count <= scheme.groups:
                name = f"{scheme.name}, vote of {count}"
                yield Way(name, family, vote(answers.final, solved, count, cost))

    def _own(self, scheme: Scheme) -> np.ndarray | None:
        # Merged latents go on with the noise of all; what else is merged, with the first seed's.
        latents = any(merge.what == "latent" for merge in scheme.merges)
        seeds = np.arange(scheme.total_seeds) if latents else scheme.seeds * np.arange(scheme.groups)
        if scheme.noise == 0 or seeds[-1] >= self.seeds:
            return None
        return self._solved[:, seeds].mean(axis=1)


def family_of(scheme: Scheme) -> str:
    """What kind of scheme it is, in words."""
    if scheme.merges:
        return f"merged {scheme.merges[0].what}"
    if scheme.renewed:
        return "renewed noise"
    return "smaller noise" if scheme.noise != 1 or scheme.shrunk else "other settings"
