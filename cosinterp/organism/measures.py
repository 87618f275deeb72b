"""What is measured of maze-wan: which held-out mazes, at which settings. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cosinterp.organism.mazes import DEFAULT_ROOMS, GOALS, Goal, Maze, generate_maze


@dataclass(frozen=True)
class Attempt:
    """One maze, the goal that the prompt names, and the seed of the initial noise."""

    maze: Maze
    goal: Goal
    seed: int


@dataclass(frozen=True)
class Measure:
    """Held-out mazes 0, 1, ... of a size, goals in turn, each maze with seeds 0 to ``noise_seeds`` - 1."""

    name: str
    mazes: int
    rooms: int
    num_steps: int
    guidance_scale: float
    noise_seeds: int = 1
    each_step: bool = False

    def attempts(self) -> list[Attempt]:
        """All attempts, those of one maze together."""
        return [
            Attempt(generate_maze(seed, self.rooms), GOALS[seed % 2], noise_seed)
            for seed in range(self.mazes)
            for noise_seed in range(self.noise_seeds)
        ]


def measures(count: int, num_steps: int, guidance_scale: float) -> Iterator[Measure]:
    """The model card's measures, the most important first; ``count`` mazes for the main ones."""
    half, eighth = max(1, count // 2), max(1, count // 8)
    yield Measure("default", count, DEFAULT_ROOMS, num_steps, guidance_scale, each_step=True)
    for steps in (4, 8, 12, 50):
        yield Measure(f"steps-{steps}", count, DEFAULT_ROOMS, steps, guidance_scale)
    yield Measure("seeds", eighth, DEFAULT_ROOMS, num_steps, guidance_scale, noise_seeds=8, each_step=True)
    for rooms in (5, 6, 8, 9):
        yield Measure(f"rooms-{rooms}", half, rooms, num_steps, guidance_scale)
    for scale in (1.0, 1.5, 3.0, 4.0):
        yield Measure(f"guidance-{scale:g}", half, DEFAULT_ROOMS, num_steps, scale)
