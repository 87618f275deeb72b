"""Damage is found, named, and never read as data."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores import Run, Store, StoreError, UserError, create_store, open_store
from stores.seal import write_seal
from tests.unit.stores import making, making_kinds
from tests.unit.stores.making import (
    BRANCHES,
    CHANNELS,
    GRID,
    LAYERS,
    NUM_STEPS,
    STEPS,
    latent,
    make_store,
)

FILE = "runs/a/0.h5"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", [("a", 0), ("a", 1)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("whole") / "s", [("a", 0)])


def kinds(store: Store) -> list[tuple[str, str]]:
    return [(problem.file, problem.kind) for problem in store.verify()]


@contextmanager
def rewritten(path: Path) -> Iterator[h5py.File]:
    """Changes a run's contents and seals it again, as if it had been written so."""
    with h5py.File(path, "r+") as file:
        yield file
        places: list[tuple[int, int]] = []
        for name in ("activations/resid", "latents/noisy", "latents/prediction", "video"):
            chunks = file[name].id
            chunks.chunk_iter(lambda chunk: places.append((chunk.byte_offset, chunk.size)))
    with path.open("r+b") as sealed:
        write_seal(sealed.fileno(), places)


def test_a_run_of_a_flow_may_be_without_the_factors_of_its_clean_estimate(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    path = next((store.path / "runs").rglob("*.h5"))
    with Run(path) as run:
        expected = run.clean_estimate(1)
    with rewritten(path) as file:
        del file["schedule/clean"]
    with Run(path) as run:
        assert np.array_equal(run.clean_estimate(1), expected)
    assert not store.verify()


@pytest.mark.parametrize("prediction_type", ["epsilon", "reversed flow", None])
def test_without_factors_a_run_of_anything_else_has_no_clean_estimate(
    store: Store, prediction_type: str | None
) -> None:
    with rewritten(store.path / FILE) as file:
        del file["schedule/clean"]
        if prediction_type is None:
            del file.attrs["prediction_type"]
        else:
            file.attrs["prediction_type"] = prediction_type
    with Run(store.path / FILE) as run:
        assert np.array_equal(run.noisy(0), latent(0, 0))
        with pytest.raises(StoreError, match="does not say what its predictions are"):
            run.clean_estimate(1)


def test_a_flow_may_end_at_its_smallest_sigma(store: Store) -> None:
    """As schedulers do whose ``final_sigmas_type`` is sigma_min."""
    sigma = np.array([1.0, 0.75, 0.25, 0.25])
    with rewritten(store.path / FILE) as file:
        file["schedule/sigma"].write_direct(sigma)
    assert store.verify() == []


def everything(path: Path) -> list[object]:
    """All that can be read from a run, in a form that can be compared."""
    with Run(path) as run:
        slabs = [run.read("resid", *place, raw=True) for place in itertools.product(STEPS, LAYERS, BRANCHES)]
        latents = [run.noisy(index) for index in range(NUM_STEPS + 1)]
        latents += [run.prediction(step) for step in range(NUM_STEPS)]
        small = [run.attrs, run.sites, run.prompt, run.condition["negative"], sorted(run.truth)]
        arrays = [*slabs, *latents, *run.schedule, run.image, run.video, run.truth["path"]]
        return [*small, *(None if array is None else (array.shape, array.tobytes()) for array in arrays)]


def test_a_whole_store_has_no_problems(store: Store) -> None:
    assert store.verify() == []


def damage(path: Path, position: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


@settings(max_examples=150)
@given(data=st.data())
def test_a_flipped_bit_is_found_or_changes_nothing(
    whole: Store, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    size = (whole.path / FILE).stat().st_size
    position = data.draw(st.integers(0, size - 1), "position")
    copy = tmp_path_factory.getbasetemp() / "flipped"
    shutil.copytree(whole.path, copy, dirs_exist_ok=True)
    damage(copy / FILE, position, data.draw(st.integers(0, 7), "bit"))
    found_wrong = ("damaged", "version")
    problems = [problem for problem in open_store(copy).verify() if problem.kind in found_wrong]
    try:
        found = everything(copy / FILE)
    except UserError:
        assert problems
    else:
        assert found == everything(whole.path / FILE)


@pytest.mark.parametrize("path", ["activations/resid", "latents/noisy", "latents/prediction", "video"])
def test_a_flipped_bit_in_a_chunk_is_named_and_not_read(store: Store, path: str) -> None:
    with h5py.File(store.path / FILE) as file:
        chunk = file[path].id.get_chunk_info(file[path].id.get_num_chunks() - 1)
    damage(store.path / FILE, chunk.byte_offset + chunk.size // 2, 3)
    (problem,) = store.verify()
    assert (problem.file, problem.kind) == (FILE, "damaged")
    assert problem.message.startswith(f"{path}: 1 of ")
    assert "does not match its checksum" in problem.message
    with pytest.raises(StoreError, match=r"a/0\.h5: damaged, the chunk of .* does not match its checksum"):
        everything(store.path / FILE)


def test_the_damaged_slab_is_named(store: Store) -> None:
    with h5py.File(store.path / FILE) as file:
        index = (STEPS.index(2), LAYERS.index(10), BRANCHES.index("uncond"), 0, 0, 0, 0)
        chunk = file["activations/resid"].id.get_chunk_info_by_coord(index)
    damage(store.path / FILE, chunk.byte_offset, 0)
    (problem,) = store.verify()
    assert "1 of 12 slabs, first step 2, layer 10, uncond" in problem.message
    assert store.read("resid", 2, 10, "a", 0, "cond").shape == (*GRID, CHANNELS)
    with pytest.raises(StoreError, match="does not match its checksum"):
        store.read("resid", 2, 10, "a", 0, "uncond")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_named_and_not_read(store: Store, share: float) -> None:
    path = store.path / FILE
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert (FILE, "damaged") in kinds(store)
    with pytest.raises(
        StoreError, match=r"a/0\.h5: damaged, it is cut short, or no run of a store; delete it"
    ) as caught:
        store.run("a", 0)
    assert "\n" not in str(caught.value)
    assert store.read("resid", 0, 0, "a", 1).shape == (*GRID, CHANNELS)


def test_another_file_under_a_runs_name_is_named(store: Store) -> None:
    shutil.copy(store.path / "runs/a/1.h5", store.path / FILE)
    problem = store.verify()[0]
    assert problem.file == FILE
    assert "it is the run of sample a, seed 1" in problem.message


@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [
        (
            b"1",
            "version",
            "run of the old format version 1, but this cosinterp reads version 2; .* trace it again",
        ),
        (b"3", "version", "run of format version 3, but this cosinterp reads version 2; upgrade"),
        (b"37", "version", "run of format version 37, but this cosinterp reads version 2; upgrade"),
        (b"", "damaged", "cut short, or no run of a store"),
    ],
)
def test_another_format_is_named_not_misread(store: Store, version: bytes, kind: str, message: str) -> None:
    path = store.path / FILE
    text = path.read_bytes().removesuffix(b"cosinterp-run-2\n")
    path.write_bytes(text + b"cosinterp-run-" + version + b"\n")
    with pytest.raises(StoreError, match=message):
        store.run("a", 0)
    assert (FILE, kind) in kinds(store)


def test_foreign_hdf5_is_named(store: Store) -> None:
    with h5py.File(store.path / FILE, "w") as file:
        file["x"] = 1
    with pytest.raises(StoreError, match="damaged, it is cut short, or no run of a store"):
        store.run("a", 0)


def test_a_run_that_was_written_to_afterwards_is_named(store: Store) -> None:
    with h5py.File(store.path / FILE, "r+") as file:
        file.move("truth/goal", "truth/aim")
    with pytest.raises(StoreError, match="damaged"):
        store.run("a", 0)


def swap_latents(file: h5py.File) -> None:
    for group in ("latents", "checksums/latents"):
        for old, new in (("noisy", "other"), ("prediction", "noisy"), ("other", "prediction")):
            file.move(f"{group}/{old}", f"{group}/{new}")


CHANGES: dict[str, tuple[Callable[[h5py.File], object], str, str]] = {
    "sigma rises": (
        lambda file: file["schedule/sigma"].write_direct(np.array([1.0, 0.2, 0.25, 0.0])),
        "schedule",
        r"sigma does not decrease after step 1 \(0\.2 to 0\.25\)",
    ),
    "no factors, and no flow": (
        lambda file: (file.__delitem__("schedule/clean"), file.attrs.__setitem__("prediction_type", "v")),
        "schedule",
        "the factors of its clean estimate are not stored, and it does not say that it is of a flow",
    ),
    "a timestep is no number": (
        lambda file: file["schedule/timestep"].write_direct(np.array([1.0, np.nan, 0.25])),
        "schedule",
        "a timestep, a sigma or a factor of the clean estimate is not finite",
    ),
    "factors that are no flow's": (
        lambda file: file["schedule/clean"].write_direct(np.array([[1, -1], [1, -0.5], [1, -0.3]])),
        "schedule",
        "the factors of the clean estimate are not those of a flow",
    ),
    "another length of schedule": (
        lambda file: (
            file.__delitem__("schedule/expert"),
            file.create_dataset("schedule/expert", data=[0, 0]),
        ),
        "damaged",
        "the lengths of its schedule do not fit together",
    ),
    "another length of latents": (
        swap_latents,
        "schedule",
        "latents/prediction has 4 latents, 3 steps need 3",
    ),
    "a scale too long": (
        lambda file: (
            file.__delitem__("scales/resid/layer"),
            file.create_dataset("scales/resid/layer", data=[0, 1]),
        ),
        "damaged",
        "site resid and its scales do not fit together",
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_run_that_makes_no_sense_is_named(
    store: Store, change: tuple[Callable[[h5py.File], object], str, str]
) -> None:
    apply, kind, message = change
    with rewritten(store.path / FILE) as file:
        apply(file)
    found = [problem for problem in store.verify() if problem.kind == kind]
    assert {problem.file for problem in found} == {FILE}
    assert any(re.search(message, problem.message) for problem in found)


def test_nan_and_infinity_are_named(tmp_path: Path) -> None:
    chosen = {"dtype": "fp32", "layers": [0, 10], "steps": [0], "branches": ["cond"]}
    store = create_store(tmp_path / "s", making.settings(**chosen))
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [0, 10], [0], ["cond"], GRID, CHANNELS)
        tokens = np.zeros((*GRID, CHANNELS), np.float32)
        writer.write("resid", 0, 0, "cond", tokens)
        tokens[1, 2, 3, 4] = np.inf
        writer.write("resid", 0, 10, "cond", tokens)
        for index in range(2):
            writer.write_noisy(index, np.full_like(latent(0, 0), np.nan if index else 0))
        writer.write_prediction(0, latent(0, 0))
        writer.finish()
    assert [(problem.kind, problem.message) for problem in store.verify()] == [
        ("not finite", "activations/resid: 1 of 2 slabs, first step 0, layer 10, cond"),
        ("not finite", "latents/noisy: 1 of 2 slabs, first step 1"),
    ]


def test_numbers_that_are_not_finite_are_named_in_fp8(tmp_path: Path) -> None:
    kind = making_kinds.Kind("fp8")
    store = create_store(tmp_path / "s", making_kinds.settings(kind))
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000, 500, 0], [3, 2, 1, 0])
        writer.add_site("resid", [0, 10], [0, 2], ["cond"], making_kinds.GRID, making_kinds.CHANNELS)
        made = making_kinds.slab("a", 0, 0, 0, kind, "full")
        assert made.factors is not None
        infinite = made.raw.copy()
        infinite[3, 12, 16, 39] = 0xF8
        writer.write("resid", 0, 0, "cond", made.raw, factors=made.factors)
        writer.write("resid", 0, 10, "cond", infinite, factors=made.factors)
        writer.write("resid", 2, 0, "cond", made.raw, factors=made.factors * np.nan)
        writer.write("resid", 2, 10, "cond", np.zeros_like(made.raw), factors=np.ones_like(made.factors))
        writer.finish()
    assert [(problem.kind, problem.message) for problem in store.verify()] == [
        ("not finite", "activations/resid: 2 of 4 slabs, first step 0, layer 10, cond")
    ]
    assert np.isneginf(store.read("resid", 0, 10, "a", 0)[3, 12, 16, 39])
    assert np.isnan(store.read("resid", 2, 0, "a", 0)).all()
    assert not store.read("resid", 2, 10, "a", 0).any()


def test_a_projection_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        making_kinds, "projection", lambda count: np.full((making_kinds.CHANNELS, count), np.nan, np.float32)
    )
    store = making_kinds.make_store(tmp_path / "s", making_kinds.Kind(reductions=("project:3",)))
    assert [(problem.kind, problem.message) for problem in store.verify()] == [
        ("not finite", "projections/resid@project:3")
    ]


def test_the_catalog_is_compared_with_the_files(store: Store) -> None:
    (catalog,) = (store.path / "catalog").glob("*.jsonl")
    (store.path / "runs/a/1.h5").unlink()
    text = catalog.read_text()
    catalog.write_text(text.replace('"num_steps":3', '"num_steps":4', 1) + "rubbish\n")
    problems = store.verify()
    assert [problem.kind for problem in problems] == ["catalog"] * 3
    assert [problem.file for problem in problems] == [f"catalog/{catalog.name}", "runs/a/1.h5", FILE]
    store.reindex()
    assert store.verify() == []


def test_leftovers_and_foreign_files_are_named(store: Store) -> None:
    (store.path / "runs/a/2.h5.partial").write_bytes(b"")
    (store.path / "runs/a/notes.txt").write_text("")
    (store.path / "runs/a/007.h5").write_text("")
    (store.path / ".store.json.1-abc").write_text("")
    assert kinds(store) == [
        ("runs/a/2.h5.partial", "leftover"),
        (".store.json.1-abc", "leftover"),
        ("runs/a/007.h5", "foreign"),
        ("runs/a/notes.txt", "foreign"),
    ]


def test_the_progress_of_verifying_is_in_bytes_and_reaches_them_all(store: Store) -> None:
    told: list[tuple[int, int, str]] = []
    store.verify(lambda *progress: told.append(progress))
    total = sum(entry.size for entry in store.runs())
    done = [reached for reached, _, _ in told]
    assert list(dict.fromkeys(file for _, _, file in told)) == [FILE, "runs/a/1.h5", ""]
    assert {of for _, of, _ in told} == {total}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    # Each slab moves it.
    assert len(set(done)) > 2 * len(LAYERS) * len(STEPS) * len(BRANCHES)
