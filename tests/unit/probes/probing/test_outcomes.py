"""Labels that are read off stored videos: how each run of a maze ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosinterp.organism import mazes, rendering, tasks
from cosinterp.probing import probe, study_of
from stores import Store, StoreSettings, create_store
from stores.errors import SelectionError

SAMPLES, SEEDS, CHANNELS = 12, 2, 4
QUICK = {"strengths": (1e-2, 1.0), "draws": 50, "permutations": 59, "baselines": False, "mdl": False}


def is_solved(number: int, seed: int) -> bool:
    """Seeds of a sample may end differently."""
    return (number + seed) % 3 > 0


def share_of(number: int, seed: int) -> float:
    """How much of the path is drawn."""
    return 1.0 if is_solved(number, seed) else 0.1 + 0.06 * number


def video_of(maze: mazes.Maze, share: float) -> NDArray[np.uint8]:
    order = rendering.path_order(maze, "red")
    order[order > share * order.max()] = 0
    return rendering.colour(rendering.cell_video(rendering.first_cells(maze), order))


def plant(folder: Path, with_video: bool = True) -> Store:
    """Mazes of which some are solved; layer 1 says which, and layer 0 is noise."""
    store = create_store(folder, StoreSettings({"name": "planted"}, {"sites": ["resid"], "dtype": "fp32"}))
    for number in range(SAMPLES):
        maze = mazes.generate_maze(number, 5)
        for seed in range(SEEDS):
            random = np.random.default_rng([number, seed])
            with store.writer(f"maze-{number:02}", seed) as writer:
                writer.set_schedule([1000], [1.0, 0.0])
                writer.set_condition("Go to the red goal.")
                writer.set_truth(tasks.truth(maze, "red"))
                if with_video:
                    writer.set_video(video_of(maze, share_of(number, seed)))
                writer.add_site("resid", (0, 1), (0,), ("cond",), (1, 2, 2), CHANNELS, dtype="fp32")
                for layer in (0, 1):
                    tokens = random.normal(size=(1, 2, 2, CHANNELS)).astype(np.float32)
                    tokens[..., 0] += 4 * layer * is_solved(number, seed)
                    writer.write("resid", 0, layer, "cond", tokens)
                writer.finish()
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return plant(tmp_path_factory.mktemp("outcomes") / "store")


def test_whether_a_run_is_solved_is_read_off_its_video(store: Store) -> None:
    problem = study_of(store, "solved").rows.problem
    assert problem.classes == ("no", "yes")
    expected = [is_solved(number, seed) for number in range(SAMPLES) for seed in range(SEEDS)]
    assert problem.labels.tolist() == expected


def test_a_mean_of_a_task_is_a_number(store: Store) -> None:
    problem = study_of(store, "iou").rows.problem
    assert problem.kind == "number"
    shares = [share_of(number, seed) for number in range(SAMPLES) for seed in range(SEEDS)]
    assert np.corrcoef(problem.labels, shares)[0, 1] > 0.98


def test_success_is_found_at_the_layer_that_tells_it(store: Store) -> None:
    found = probe(store, "solved", **QUICK).dataset
    assert (found["p"].values < 0.05).tolist() == [[False, True]]
    assert float(found["score"].sel(step=0, layer=1)) > 0.9
    assert found.attrs["unit"] == "run"


def test_a_run_without_a_video_is_named(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", with_video=False)
    message = r'"solved": .*0\.h5 holds no video; .* columns sample, seed and solved'
    with pytest.raises(SelectionError, match=message):
        study_of(store, "solved")
