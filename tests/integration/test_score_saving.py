"""When scores are written, and what is said where they cannot be."""

import errno
import fcntl
import os

import numpy as np
import pytest

from cosinterp import saved_scores
from cosinterp.errors import SelectionError, StoreError
from cosinterp.scoring import score_store
from probes.results.files import list_results
from stores import open_store
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant


@pytest.fixture
def store(tmp_path):
    runs = {("maze-0", seed): np.stack([maze_estimate(0)] * 2) for seed in range(3)}
    return plant(tmp_path / "store", runs, {"maze-0": maze_truth(0)})


def test_scores_are_written_while_scoring_goes_on(store, monkeypatch):
    monkeypatch.setattr(saved_scores, "_SAVE_EVERY", -1.0)
    seen = []
    score_store(store, CellDecoder(), save=True, progress=lambda *_: seen.append(list_results(store.path)))
    assert seen == [["scores-maze"]] * 3


def test_within_a_minute_they_are_written_once(store):
    seen = []
    score_store(store, CellDecoder(), save=True, progress=lambda *_: seen.append(list_results(store.path)))
    assert seen == [[]] * 3
    assert list_results(store.path) == ["scores-maze"]


def test_nothing_is_decoded_where_nothing_can_be_saved(store, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    decoder = CellDecoder()
    with pytest.raises(StoreError, match="--no-save scores without"):
        score_store(store, decoder, save=True)
    assert decoder.calls == 0


def test_what_is_kept_can_be_read_where_nothing_can_be_saved(store, monkeypatch):
    first = score_store(store, CellDecoder(), save=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    decoder = CellDecoder()
    again = score_store(store, decoder, save=True)
    assert decoder.calls == 0
    assert again[0].runs.equals(first[0].runs)


def test_what_two_processes_score_at_once_is_all_kept(store):
    """Both began when nothing was kept; the second one scores, and saves, while the first is at it."""
    scored = []

    def score_the_others(*_):
        if not scored:
            scored.extend(score_store(open_store(store.path), CellDecoder(), seeds=[1, 2], save=True))

    score_store(store, CellDecoder(), seeds=[0], save=True, progress=score_the_others)
    decoder = CellDecoder()
    [all_of_them] = score_store(store, decoder, save=True)
    assert decoder.calls == 0
    assert len(all_of_them.runs) == 3


def test_scoring_anew_takes_nothing_in_of_what_it_replaces(store):
    score_store(store, CellDecoder(), save=True)
    score_store(store, CellDecoder(), seeds=[0], save=True, force=True)
    decoder = CellDecoder()
    score_store(store, decoder, save=True)
    assert decoder.calls == 2 * 2


def test_other_scores_that_came_in_the_meantime_are_not_overwritten(store):
    def score_by_another_model(*_):
        score_store(open_store(store.path), CellDecoder(), seeds=[1], save=True, decoder="other")

    with pytest.raises(SelectionError, match="were decoded by other"):
        score_store(store, CellDecoder(), seeds=[0], save=True, progress=score_by_another_model)
    assert list_results(store.path) == ["scores-maze"]


def test_where_no_folder_can_be_locked_scores_are_saved_all_the_same(store, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    score_store(store, CellDecoder(), save=True)
    assert list_results(store.path) == ["scores-maze"]
