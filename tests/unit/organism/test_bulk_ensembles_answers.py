"""Votes, selection and verification by hand, and tables that are what the outcomes say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cosinterp.errors import UserError
from cosinterp.organism.bulk_ensembles import answers
from cosinterp.organism.bulk_ensembles.comparison import KNOWING, Ways
from cosinterp.organism.bulk_ensembles.outcomes import Book, Drawn, Settings, read_outcomes
from cosinterp.organism.bulk_ensembles.schemes import Merge, Scheme
from cosinterp.organism.bulk_ensembles.tables import main, tables
from cosinterp.organism.bulk_ensembles.tasks import make_tasks
from probes.statistics import means

MAZES = 24
TRUE = 0


@pytest.fixture
def pictures() -> np.ndarray:
    """(maze, seed); 0 is right."""
    return np.random.default_rng(3).choice(4, size=(MAZES, 6), p=[0.4, 0.3, 0.2, 0.1])


def test_the_most_frequent_answer_wins_and_the_first_of_equals():
    drawn = np.array([[3, 1, 1, 2], [5, 4, 4, 5], [7, 8, 9, 6], [2, 2, 2, 2]])
    assert answers.voted(drawn).tolist() == [1, 0, 0, 0]


def test_a_vote_is_the_mean_over_orders_of_the_seeds(pictures):
    solved = pictures == TRUE
    found = answers.vote(pictures, solved, 3, 24.0)
    expected = np.zeros(MAZES)
    for order in answers.orders(6):
        for maze in range(MAZES):
            first = pictures[maze, order[:3]].tolist()
            # A list keeps the order of what was drawn, and max takes the first of equals.
            expected[maze] += max(first, key=first.count) == TRUE
    np.testing.assert_allclose(found.solved, expected / answers.ORDERS)
    assert found.evaluations == 72
    assert answers.vote(pictures, solved, 1, 24.0).solved == pytest.approx(
        (pictures[:, answers.orders(6)[:, 0]] == TRUE).mean(axis=1)
    )


def test_any_of_is_the_mean_over_all_choices(pictures):
    solved = pictures == TRUE
    for count in (1, 2, 5, 6):
        choices = list(combinations(range(6), count))
        expected = np.mean([solved[:, list(choice)].any(axis=1) for choice in choices], axis=0)
        np.testing.assert_allclose(answers.any_of(solved, count, 1.0).solved, expected, atol=1e-12)


def test_the_cleanest_of_all_is_the_same_in_every_order(pictures):
    blur = np.random.default_rng(0).random(pictures.shape)
    found = answers.cleanest(pictures, pictures == TRUE, blur, 6, 24.0)
    expected = pictures[np.arange(MAZES), blur.argmin(axis=1)] == TRUE
    np.testing.assert_array_equal(found.solved, expected)


def test_seeds_are_drawn_until_enough_agree(monkeypatch):
    monkeypatch.setattr(answers, "orders", lambda seeds, leading=0: np.arange(seeds)[None])
    drawn = np.array([[0, 0, 1, 1], [2, 1, 0, 1], [3, 2, 1, 0], [1, 2, 2, 0]])
    found = answers.until_agreed(drawn, drawn == TRUE, 2, 10.0)
    # Agreed after 2, 4, never (then the first of equals) and 3 seeds.
    assert found.solved.tolist() == [1, 0, 0, 0]
    assert found.evaluations == pytest.approx(10 * (2 + 4 + 4 + 3) / 4)


def test_leading_seeds_begin_and_the_others_come_in_every_order():
    made = answers.orders(5, leading=2)
    assert (made[:, :2] == [0, 1]).all()
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in made.tolist())
    assert len(np.unique(made, axis=0)) > 3
    assert answers.orders(1).tolist() == [[0]]
    np.testing.assert_array_equal(answers.orders(5), answers.orders(5))


def test_early_choices_cost_what_is_begun_and_one_to_the_end(pictures):
    solved = pictures == TRUE
    early = np.where(solved, 9, pictures)
    found = answers.voted_early(early, solved, 6, 4.0, 20.0)
    np.testing.assert_allclose(found.solved, answers.vote(pictures, solved, 6, 1.0).solved)
    assert found.evaluations == 6 * 4 + 20


def test_the_nearest_is_the_medoid_by_intersection_over_union():
    cells = np.zeros((3, 1, 4), dtype=bool)
    cells[0, 0, :2], cells[1, 0, :3], cells[2, 0, 3] = True, True, True
    apart = answers.distances(np.array([[0, 1, 2]]), cells)
    np.testing.assert_allclose(apart[0], [[0, 1 / 3, 1], [1 / 3, 0, 1], [1, 1, 0]], atol=1e-6)
    assert answers.distances(np.array([[2, 2]]), np.zeros((3, 1, 4), dtype=bool)).max() == 0
    solved = np.array([[False, True, False]])
    # The first two are equally near; which is first depends on the order, the third never is.
    found = answers.nearest_early(apart, solved, 3, 1.0, 1.0).solved[0]
    assert 0.2 < found < 0.8
    assert answers.nearest_early(apart, np.array([[False, False, True]]), 3, 1.0, 1.0).solved[0] == 0


def test_verification_stops_at_the_first_look_that_shows_it(monkeypatch):
    monkeypatch.setattr(answers, "orders", lambda seeds, leading=0: np.arange(seeds)[None])
    right = np.zeros((2, 3, 2), dtype=bool)
    right[0, 0, 0] = right[1, 0, 0] = True
    right[1, 1, 1] = True
    found = answers.until_verified(right, np.array([2.0, 10.0]), 2)
    assert found.solved.tolist() == [1, 1, 0]
    assert found.evaluations == pytest.approx((2 + (10 + 10) + (10 + 10)) / 3)
    assert answers.until_verified(right, np.array([2.0, 10.0]), 1).solved.tolist() == [1, 0, 0]


@pytest.fixture
def ways(tmp_path) -> Ways:
    return Ways(read_outcomes(outcomes(tmp_path / "out.npz")))


def outcomes(path, base: str = "base"):
    """Single seeds that are right by chance, and schemes that are right where the first is, and more."""
    tasks = make_tasks(0, MAZES)
    settings = Settings(0, MAZES, 4, 2.0, (1,), "computed by hand")
    book = Book(settings, tasks)
    rng = np.random.default_rng(0)
    right = rng.random((MAZES, 4)) < 0.5
    other = rng.random((MAZES, 4, 16, 16)) < 0.1

    def drawn(good):
        cells = np.where(good[..., None, None], tasks.paths[:, :1], other[:, : good.shape[1]])
        return Drawn(cells.reshape(-1, 16, 16), rng.random(good.size))

    book.add(Scheme(base, groups=4), drawn(right), [drawn(right & (rng.random(right.shape) < 0.5))], 1.0)
    merged = right[:, :1] | (np.arange(MAZES)[:, None] % 3 == 0)
    book.add(Scheme("merged", 3, merges=(Merge("latent", (0,)),)), drawn(merged), [], 1.0)
    both = np.concatenate([merged, merged], axis=1)
    book.add(Scheme("all", 2, merges=(Merge("x0", (0,)),), then="all"), drawn(both), [], 1.0)
    book.add(Scheme("noise-0", noise=0.0), drawn(merged), [], 1.0)
    book.write(path)
    return path


def test_gains_are_paired_by_maze_and_beside_the_vote_for_as_much(ways):
    merged = next(way for way in ways.schemes if way.name == "merged")
    base = ways.measured.solved(ways.measured.answers["base"].final)
    found = ways.compare([merged])[0]
    solved = ways.measured.solved(ways.measured.answers["merged"].final)[:, 0]
    assert found.solved.value == pytest.approx(solved.mean())
    expected = means((solved - base.mean(axis=1))[:, None], list(range(MAZES)))[0]
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    # 3 seeds for one step of 4, then one: 6 + 6 evaluations where a seed takes 8.
    assert merged.outcome.evaluations == 12
    assert (found.times, found.voters) == (1.5, 2)
    two = next(way for way in ways.votes if way.name == "vote of 2").outcome.solved
    assert found.over_vote is not None
    assert found.over_vote.value == pytest.approx((solved - two).mean())


def test_schemes_are_told_beside_the_seeds_whose_noise_they_go_on_with(ways):
    """A seed is the same noise in all mazes, and some are better than others."""
    found = {one.way.name: one for one in ways.compare(ways.schemes)}
    solved = ways.by_seed
    merged = ways.measured.solved(ways.measured.answers["merged"].final)[:, 0]
    own = found["merged"].over_own
    assert own is not None
    assert own.value == pytest.approx((merged - solved[:, :3].mean(axis=1)).mean())
    assert found["noise-0"].over_own is None
    kept_noise = Scheme("x0", 2, groups=2, merges=(Merge("x0", (0,)),))
    np.testing.assert_allclose(ways._own(kept_noise), solved[:, [0, 2]].mean(axis=1))


def test_ways_are_compared_pair_by_pair(ways):
    one, other = ways.named("merged"), ways.named("any of 2")
    (found,) = ways.beside([one], [other])
    assert found.value == pytest.approx((one.outcome.solved - other.outcome.solved).mean())
    with pytest.raises(UserError, match="no way that is called 'none'"):
        ways.named("none")


def test_what_costs_more_than_there_are_seeds_has_no_vote_beside_it(ways):
    way = ways.any[-1]
    found = ways.compare([type(way)(way.name, way.family, answers.Outcome(way.outcome.solved, 33.0))])[0]
    assert (found.voters, found.over_vote) == (None, None)


def test_the_best_for_its_cost_knows_no_answers(ways):
    for limit, way in ways.best_by_cost((1, 1.5, 4)):
        assert way.family not in KNOWING
        assert way.outcome.evaluations <= 8 * limit
        cheaper = [w for w in ways.every() if w.family not in KNOWING and w.outcome.evaluations <= 8 * limit]
        assert way.outcome.solved.mean() == max(w.outcome.solved.mean() for w in cheaper)
    assert [way.name for _, way in ways.best_by_cost((0.1,))] == []


def test_the_tables_tell_every_way_with_its_interval(ways):
    text = "\n".join(tables(ways, ["merged", "vote of *"], [("merged", "vote of 2")]))
    single = ways.compare([ways.single])[0]
    share = f"{single.solved.value:.3f} ({single.solved.low:.3f} to {single.solved.high:.3f})"
    assert f"| single seed | {share} |  |  | 8.0 | 1.00 | 1 |  |" in text
    for name in (
        "merged",
        "all, vote",
        "any of 4",
        "noise-0 first, until 2 agree",
        "until 2 agree, at most 4",
    ):
        assert name in text
    assert "n = 24 samples" in text
    assert (
        "Held-out mazes 0 to 23 of 7x7 rooms, 4 steps, guidance 2, 4 single seeds; computed by hand" in text
    )


def test_the_program_prints_and_draws(tmp_path, capsys):
    main([outcomes(tmp_path / "out.npz")], tmp_path / "figure.png", "merged", "merged=vote of 3", "merged")
    assert "### out.npz" in capsys.readouterr().out
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_files_that_hold_nothing_of_the_kind_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(UserError, match="holds no outcomes"):
        read_outcomes(tmp_path / "other.npz")
    with pytest.raises(UserError, match="lack the scheme base"):
        Ways(read_outcomes(outcomes(tmp_path / "out.npz", base="something")))
