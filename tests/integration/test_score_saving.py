"""When scores are written, and what is said where they cannot be."""

import os

import numpy as np
import pytest

from cosinterp import saved_scores
from cosinterp.errors import StoreError
from cosinterp.scoring import score_store
from probes.results import list_results
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
