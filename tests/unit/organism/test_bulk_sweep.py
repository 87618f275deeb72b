"""A sweep over schemes scores as the solver does, writes as it goes, and refuses what cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosinterp.organism.bulk_ensembles.__main__ import Bench, prepare, sweep
from cosinterp.organism.bulk_ensembles.choice import BASE, chosen, merging, schemes
from cosinterp.organism.bulk_ensembles.outcomes import Book, Settings, read_outcomes
from cosinterp.organism.bulk_ensembles.reading import Drawn
from cosinterp.organism.bulk_ensembles.schemes import Merge, Scheme, SchemeError, scheme_of
from cosinterp.organism.bulk_ensembles.tasks import make_tasks
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.measures import Attempt
from cosinterp.organism.rendering import cell_video, colour, first_cells
from cosinterp.organism.scoring import score_video
from cosinterp.organism.tasks import truth

STEPS, GUIDANCE = 4, 2.0


def test_what_single_seeds_draw_is_what_the_solver_draws(solver):
    bench = prepare(
        solver, first=3, count=1, num_steps=2, guidance=GUIDANCE, recorded=(0,), chunk=8, compiled=False
    )
    answers = bench.measure(replace(BASE, groups=2))
    attempts = [Attempt(generate_maze(3, 7), "blue", seed) for seed in range(2)]
    expected = solver.solve(attempts, 2, GUIDANCE, each_step=True)
    assert answers.early is not None
    bench_pictures = pictures(bench.book)
    np.testing.assert_array_equal(bench_pictures[answers.final[0]], expected.drawn[-1])
    np.testing.assert_array_equal(bench_pictures[answers.early[0, 0]], expected.drawn[0])
    np.testing.assert_array_equal(bench.book.solved(answers)[0], expected.solved[-1])


def pictures(book: Book) -> np.ndarray:
    packed = np.stack([np.frombuffer(one, np.uint8) for one in book._numbers])
    return np.unpackbits(packed, axis=-1).astype(bool).reshape(len(packed), 16, 16)


def settings(count: int) -> Settings:
    return Settings(3, count, STEPS, GUIDANCE, (0,), "computed by hand")


def test_solved_and_valid_are_what_the_scorer_says(tmp_path):
    """In a perfect maze a valid path is one of two pictures."""
    tasks = make_tasks(3, 2)
    book = Book(settings(2), tasks)
    named, other = tasks.paths[:, 0], tasks.paths[:, 1]
    short = named.copy()
    for cells in short:
        cells[tuple(np.argwhere(cells)[0])] = False
    drawn = np.stack([named, other, short, np.zeros_like(named)], axis=1)
    book.add(Scheme("drawn", groups=4), Drawn(drawn.reshape(-1, 16, 16), np.zeros(8)), [], 1.0)
    book.write(tmp_path / "out.npz")
    measured = read_outcomes(tmp_path / "out.npz")
    final = measured.answers["drawn"].final
    for maze, number in enumerate(tasks.numbers):
        made = generate_maze(int(number), 7)
        known = truth(made, tasks.goals[maze])
        for answer in range(4):
            order = drawn[maze, answer].astype(np.uint8)
            score = score_video(colour(cell_video(first_cells(made), order)), known)
            assert score.solved == measured.solved(final)[maze, answer]
            assert score.valid_path == (final[maze, answer] in (measured.named[maze], measured.other[maze]))
    np.testing.assert_array_equal(measured.pictures[final], drawn)
    assert measured.path_length.tolist() == [len(generate_maze(3, 7).path("blue")), *tasks.path_length[1:]]


def test_outcomes_are_written_as_they_come_and_end_in_time(solver, tmp_path, monkeypatch, capsys):
    bench = prepare(
        solver, first=0, count=1, num_steps=2, guidance=1.0, recorded=(0,), chunk=8, compiled=False
    )
    drawn = Drawn(np.zeros((1, 16, 16), bool), np.zeros(1))
    monkeypatch.setattr(Bench, "measure", lambda self, scheme: self.book.add(scheme, drawn, [], 1.0))
    listed = [Scheme("first"), Scheme("merged", 2, merges=(Merge("x0", (1,), "core"),))]
    sweep(bench, listed, tmp_path / "out.npz", seconds=0)
    measured = read_outcomes(tmp_path / "out.npz")
    assert list(measured.answers) == ["first"]
    assert "merged: left out" in capsys.readouterr().out
    sweep(bench, listed[1:], tmp_path / "out.npz", seconds=0)
    measured = read_outcomes(tmp_path / "out.npz")
    assert [answers.scheme for answers in measured.answers.values()] == listed
    assert measured.evaluations("merged") == 4


def test_the_schemes_are_all_possible_and_have_names_of_their_own():
    listed = schemes()
    assert listed[0] == BASE
    for scheme in listed:
        scheme.check(12, 8)
        assert scheme_of(scheme.to_dict()) == scheme
    assert len({scheme.name for scheme in listed}) == len(listed)
    contents = [replace(scheme, name="") for scheme in listed]
    assert all(scheme not in contents[:number] for number, scheme in enumerate(contents))
    assert chosen(["latent-s0-k3", "base"]) == [BASE, merging("latent", 0, 0)]
    assert {scheme.name for scheme in chosen(["x0-s0-3-k*"])} >= {"x0-s0-3-k3", "x0-s0-3-k8"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chosen(["no-such"]), "no scheme no-such"),
        (lambda: Merge("x0", ()), "needs steps"),
        (lambda: Merge("x0", (0,), layers=(1,)), "layers"),
        (lambda: Merge("hidden", (0,)), "layers"),
        (lambda: Merge("latent", (0,), "core"), "core"),
        (lambda: Merge("x0", (0,), share=0), "share"),
        (lambda: Scheme("none", 3), "merges nothing"),
        (lambda: merging("x0", 0, 5).check(4, 8), "no step 4 of 4"),
        (lambda: Scheme("deep", 2, merges=(Merge("hidden", (0,), layers=(9,)),)).check(4, 8), "layer 9"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(SchemeError, match=message):
        make()
