"""Scores of final videos, as comparisons of noise take them."""

from pathlib import Path

import numpy as np
import pytest

from cosinterp.errors import SelectionError
from cosinterp.noising.scoring import final_scores
from cosinterp.scoring import score_store
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant


def test_final_videos_are_scored_and_nothing_is_kept(tmp_path: Path) -> None:
    shares = {("maze-0", 0): 1.0, ("maze-0", 1): 0.5}
    runs = {key: np.stack([maze_estimate(0, share=share)] * 2) for key, share in shares.items()}
    store = plant(tmp_path / "store", runs, {"maze-0": maze_truth(0)})
    [table] = final_scores(store, ["base"], CellDecoder()).values()
    [scored] = score_store(store, CellDecoder(), by_step=False)
    assert (table.task, table.variant, table.headline) == ("maze", "base", scored.task.headline)
    assert table.final("solved").tolist() == scored.runs["solved"].tolist() == [1.0, 0.0]
    assert all(row.is_of(entry) for row, entry in zip(table.runs, store.runs(), strict=True))
    assert not (store.path / "results").exists()
    only = final_scores(store, ["base"], CellDecoder(), seeds=[1])["base"]
    assert [row.seed for row in only.runs] == [1]


def test_a_variant_that_is_not_there_is_refused(tmp_path: Path) -> None:
    store = plant(
        tmp_path / "store", {("maze-0", 0): np.stack([maze_estimate(0)] * 2)}, {"maze-0": maze_truth(0)}
    )
    with pytest.raises(SelectionError, match="noised-step-00"):
        final_scores(store, ["base", "noised-step-00"], CellDecoder())
