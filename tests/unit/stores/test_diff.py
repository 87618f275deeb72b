"""What differs between two stores is found, measured and placed; what does not is not reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores import (
    RunWriter,
    Store,
    StoreDiff,
    StoreError,
    StoreSettings,
    create_store,
    diff_stores,
    open_store,
)
from tests.unit.stores import making
from tests.unit.stores.making import make_store, settings, write_run

RUNS = [("maze-3", 0), ("maze-3", 1), ("maze-4", 0)]
SIGMA = np.array([1.0, 0.5, 0.0])
GRID = (2, 3, 4)
CHANNELS = 5


class Recipe:
    """A run of known contents, of which a test changes one thing."""

    def __init__(self) -> None:
        self.attrs: dict[str, Any] = {"prediction_type": "flow", "versions": {"torch": "2.6"}}
        self.sigma = SIGMA
        self.truth: dict[str, Any] = {"path": np.arange(6), "goal": "red", "rooms": 7}
        self.image = np.zeros((8, 8, 3), np.uint8)
        self.video: Any = np.zeros((3, 8, 8, 3), np.uint8)
        self.layers = [0, 4]
        self.steps = [0, 1]
        self.dtype = "fp32"
        self.sites: dict[str, Any] = {"resid": self.activations(0)}
        self.noisy = np.random.default_rng(1).normal(size=(3, 2, *GRID)).astype(np.float32)
        self.pinned: Any = None

    def activations(self, seed: int) -> Any:
        shape = (len(self.steps), len(self.layers), 2, *GRID, CHANNELS)
        return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

    def write(self, store: Store) -> None:
        with store.writer("maze-3", 0) as writer:
            self._fill(writer)
            writer.finish()

    def _fill(self, writer: RunWriter) -> None:
        writer.set_attrs(self.attrs)
        writer.set_schedule(1000 * self.sigma[:-1], self.sigma)
        writer.set_condition("Go to the red goal.", self.image)
        writer.set_truth(self.truth)
        if self.video is not None:
            writer.set_video(self.video)
        if self.pinned is not None:
            writer.set_pinned(self.pinned, np.array([True, False]))
        for site, values in self.sites.items():
            writer.add_site(
                site, self.layers, self.steps, ("cond", "uncond"), GRID, CHANNELS, dtype=self.dtype
            )
            for s, step in enumerate(self.steps):
                for k, layer in enumerate(self.layers):
                    for b, branch in enumerate(("cond", "uncond")):
                        writer.write(site, step, layer, branch, np.ascontiguousarray(values[s, k, b]))
        for index, latent in enumerate(self.noisy):
            writer.write_noisy(index, latent)


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., StoreDiff]:
    """The differences between a plain run and one that ``change`` was made to."""

    def differences(change: Callable[[Recipe], object], **options: Any) -> StoreDiff:
        stores = []
        for name in "ab":
            recipe = Recipe()
            if name == "b":
                change(recipe)
            stores.append(create_store(tmp_path / name, settings(dtype="fp32")))
            recipe.write(stores[-1])
        return diff_stores(*stores, **options)

    return differences


def lines(found: StoreDiff) -> list[str]:
    (run,) = found.different
    assert (run.sample, run.seed, run.variant) == ("maze-3", 0, "base")
    return [str(difference) for difference in run.differences]


def test_two_stores_of_the_same_runs_are_equal(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS), make_store(tmp_path / "b", reversed(RUNS))
    found = diff_stores(a, b)
    assert found.equal
    assert found.same == tuple((sample, seed, "base") for sample, seed in RUNS)
    assert (found.settings, found.only_a, found.only_b, found.different) == ((), (), (), ())


def test_when_a_run_was_finished_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later:
        @staticmethod
        def now(_: object) -> Any:
            from datetime import UTC, datetime

            return datetime(2041, 1, 1, tzinfo=UTC)

    a = make_store(tmp_path / "a", RUNS[:1])
    monkeypatch.setattr("stores.writer.datetime", Later)
    b = make_store(tmp_path / "b", RUNS[:1])
    assert a.runs()[0].finished != b.runs()[0].finished
    assert diff_stores(a, b).equal


def test_runs_of_one_store_only_are_listed(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:2]), make_store(tmp_path / "b", RUNS[1:])
    found = diff_stores(a, b)
    assert not found.equal
    assert [entry.key for entry in found.only_a] == [("maze-3", 0, "base")]
    assert [entry.key for entry in found.only_b] == [("maze-4", 0, "base")]
    assert found.same == (("maze-3", 1, "base"),)


def test_selected_runs_alone_are_compared(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:2]), make_store(tmp_path / "b", RUNS[1:])
    write_run(a, "maze-3", 5, "patched")
    assert diff_stores(a, b, samples="maze-3", seeds="1", variant="base").equal
    assert diff_stores(a, b, seeds=1).equal
    assert [e.key for e in diff_stores(a, b, variant="patched").only_a] == [("maze-3", 5, "patched")]
    with pytest.raises(StoreError, match="neither .* has a run that is selected"):
        diff_stores(a, b, samples="maze-9")


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a")
    b = create_store(tmp_path / "b", settings(layers=[0, 10], video=True))
    found = diff_stores(a, b)
    assert found.settings == (
        "capture.layers: 0,10,20 in A, 0,10 in B",
        "capture.video: nothing in A, true in B",
    )
    assert not found.equal


def test_what_the_settings_say_is_not_said_again_of_each_run(tmp_path: Path) -> None:
    stores = []
    for name, guidance in (("a", 3.0), ("b", 5.0)):
        shared = {"name": "tiny", "guidance": guidance}
        stores.append(create_store(tmp_path / name, StoreSettings(shared, {"dtype": "fp32"}, {})))
        recipe = Recipe()
        recipe.attrs = {"model": shared, "device": name}
        recipe.write(stores[-1])
    found = diff_stores(*stores)
    assert found.settings == ("model.guidance: 3.0 in A, 5.0 in B",)
    assert lines(found) == ["attribute device: a in A, b in B"]


def test_one_flipped_bit_is_found_and_placed(compare: Callable[..., StoreDiff]) -> None:
    def flip(run: Recipe) -> None:
        run.sites["resid"].view(np.uint32)[1, 0, 1, 0, 0, 0, 0] ^= 1

    found = compare(flip)
    assert len(lines(found)) == 1
    (difference,) = found.different[0].differences
    assert (difference.what, difference.differing, difference.compared) == ("activations/resid", 1, 8)
    assert difference.place == "step 1, layer 0, uncond"
    assert difference.largest is not None
    assert 0 < difference.largest < 1e-6


def test_the_largest_difference_is_the_largest(compare: Callable[..., StoreDiff]) -> None:
    def change(run: Recipe) -> None:
        run.sites["resid"][0, 1, 0, 1, 2, 3, 4] += 0.5
        run.sites["resid"][1, 1, 0, 0, 0, 0, 1] -= 2
        run.sites["resid"][1, 1, 1] += 0.25

    (difference,) = compare(change).different[0].differences
    assert difference.largest == pytest.approx(2, rel=1e-6)
    assert str(difference) == ("activations/resid: 3 of 8 slabs differ, most by 2 at step 1, layer 4, cond")


def test_within_the_tolerance_numbers_are_equal(compare: Callable[..., StoreDiff], tmp_path: Path) -> None:
    def change(run: Recipe) -> None:
        run.sites["resid"] = run.sites["resid"] + np.float32(1e-3)
        run.noisy = run.noisy + np.float32(1e-3)
        run.sigma = run.sigma + 1e-3

    assert compare(change, tolerance=1.01).equal
    a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
    found = diff_stores(a, b, tolerance=0.9e-3).different[0].differences
    assert {difference.what for difference in found} == {
        "activations/resid",
        "latents/noisy",
        "schedule/clean",
        "schedule/sigma",
        "schedule/timestep",
    }
    for tolerance in (-1, float("inf"), float("nan")):
        with pytest.raises(StoreError, match="tolerance"):
            diff_stores(a, b, tolerance=tolerance)


def test_zeros_of_either_sign_differ_in_bits_alone(tmp_path: Path) -> None:
    stores = []
    for name, zero in (("a", 0.0), ("b", -0.0)):
        recipe = Recipe()
        recipe.sites["resid"][1] = zero
        stores.append(create_store(tmp_path / name, settings(dtype="fp32")))
        recipe.write(stores[-1])
    (difference,) = diff_stores(*stores).different[0].differences
    assert (difference.differing, difference.largest) == (4, 0)
    assert diff_stores(*stores, tolerance=1e-30).equal


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_differs_beyond_any_tolerance(
    compare: Callable[..., StoreDiff], value: float
) -> None:
    def change(run: Recipe) -> None:
        run.sites["resid"][0, 0, 0, 0, 0, 0, 0] = value

    (difference,) = compare(change, tolerance=1e30).different[0].differences
    assert difference.largest == np.inf


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda run: run.attrs["versions"].update(torch="2.7"),
            "attribute versions.torch: 2.6 in A, 2.7 in B",
        ),
        (lambda run: run.attrs.update(offload=None), "attribute offload: nothing in A, null in B"),
        (lambda run: run.truth.update(goal="blue"), "truth/goal: red in A, blue in B"),
        (lambda run: run.truth.update(rooms=8), "truth/rooms: 7 in A, 8 in B"),
        (lambda run: run.truth.pop("rooms"), "truth/rooms: only in A"),
        (lambda run: run.truth.update(path=np.arange(5)), "truth/path: shape 6 in A, 5 in B"),
        (lambda run: run.truth.update(path=np.arange(6.0)), "truth/path: int64 in A, float64 in B"),
        (lambda run: setattr(run, "image", run.image + 9), "condition/image: differs, most by 9"),
        (lambda run: setattr(run, "video", None), "video: only in A"),
        (lambda run: setattr(run, "video", run.video + 7), "video: 1 of 1 slab differ, most by 7"),
        (
            lambda run: setattr(run, "video", run.video[:2]),
            "video: shape 3 x 8 x 8 x 3 in A, 2 x 8 x 8 x 3 in B",
        ),
        (lambda run: run.sites.update(mlp=run.activations(1)), "activations/mlp: only in B"),
        (
            lambda run: setattr(run, "pinned", np.zeros((2, *GRID), np.float32)),
            "latents/pinned: only in B",
        ),
    ],
)
def test_each_difference_has_its_line(
    compare: Callable[..., StoreDiff], change: Callable[[Recipe], object], line: str
) -> None:
    assert line in lines(compare(change))


def test_what_both_hold_of_a_site_is_compared(compare: Callable[..., StoreDiff]) -> None:
    def change(run: Recipe) -> None:
        whole = np.concatenate([run.sites["resid"], run.activations(3)[:, :1]], axis=1)
        run.steps, run.layers, run.sites["resid"] = [1], [0, 4, 5], whole[1:]

    found = lines(compare(change))
    assert found == [
        "activations/resid: steps 0-1 in A, 1 in B",
        "activations/resid: layers 0,4 in A, 0,4-5 in B",
    ]


def test_activations_of_two_dtypes_are_compared_as_numbers(compare: Callable[..., StoreDiff]) -> None:
    def change(run: Recipe) -> None:
        run.dtype = "fp16"
        run.sites["resid"] = run.sites["resid"].astype(np.float16)

    first, second = compare(change).different[0].differences
    assert str(first) == "activations/resid: dtype fp32 in A, fp16 in B"
    assert second.differing == 8
    assert second.largest is not None
    assert 0 < second.largest < 2**-9


def test_bfloat16_is_compared_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = make_store(tmp_path / "a", RUNS[:1])
    plain = making.bits
    monkeypatch.setattr(
        making, "bits", lambda *where: np.where(plain(*where) < 2**15, np.uint16(0x3F80), plain(*where))
    )
    b = make_store(tmp_path / "b", RUNS[:1])
    (difference,) = diff_stores(a, b).different[0].differences
    with a.run("maze-3", 0) as x, b.run("maze-3", 0) as y:
        by_place = {
            (step, layer, branch): np.abs(
                x.read("resid", step, layer, branch) - y.read("resid", step, layer, branch)
            ).max()
            for step in making.STEPS
            for layer in making.LAYERS
            for branch in making.BRANCHES
        }
    where = max(by_place, key=by_place.__getitem__)
    assert difference.largest == by_place[where]
    assert difference.place == "step {}, layer {}, {}".format(*where)


@pytest.mark.parametrize(
    "content", [making.bits("maze-3", 0, 0, 10, "cond"), making.latent(0, 1), making.latent(0, 2, 1)]
)
def test_damage_is_an_error_and_no_difference(tmp_path: Path, content: Any) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:1]), make_store(tmp_path / "b", RUNS[:1])
    path = b.path / b.runs()[0].file
    data = bytearray(path.read_bytes())
    data[data.find(content.tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="checksum"):
        diff_stores(a, b)


def test_quick_trusts_the_checksums_and_finds_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:2]), make_store(tmp_path / "b", RUNS[:1])
    plain = making.bits
    monkeypatch.setattr(making, "bits", lambda *where: plain(*where) ^ np.uint16(where[2] == 2))
    write_run(b, *RUNS[1])
    (run,) = diff_stores(a, b, quick=True).different
    assert run == diff_stores(a, b).different[0]
    assert [str(difference)[:38] for difference in run.differences] == [
        "activations/resid: 6 of 12 slabs diffe"
    ]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a slab was read")

    monkeypatch.setattr("stores.reader.Run.read", fail)
    monkeypatch.setattr("stores.slabs.reader.SlabReader.read", fail)
    assert diff_stores(a, b, seeds=0, quick=True).equal
    with pytest.raises(AssertionError, match="a slab was read"):
        diff_stores(a, b, seeds=0)


def test_a_file_that_both_stores_share_is_not_read(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:1]), make_store(tmp_path / "b", RUNS[:1])
    ours, theirs = (store.path / store.runs()[0].file for store in (a, b))
    ours.write_bytes(b"not even a run")
    theirs.unlink()
    os.link(ours, theirs)
    assert diff_stores(a, b).equal


def test_quick_does_not_open_a_copy(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:1]), make_store(tmp_path / "b", RUNS[:1])
    ours, theirs = (store.path / store.runs()[0].file for store in (a, b))
    theirs.write_bytes(b"!" * 100 + ours.read_bytes()[100:])
    assert diff_stores(a, b, quick=True).equal
    with pytest.raises(StoreError, match="do not match their checksum"):
        diff_stores(a, b)
    theirs.write_bytes(b"too short")
    with pytest.raises(StoreError, match="cut short"):
        diff_stores(a, b, quick=True)


def test_a_run_that_is_removed_meanwhile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = make_store(tmp_path / "a", RUNS[:1]), make_store(tmp_path / "b", RUNS[:1])
    entries = b.runs()
    (b.path / entries[0].file).unlink()
    monkeypatch.setattr(b, "runs", lambda *_: entries)
    with pytest.raises(StoreError, match="seed 0"):
        diff_stores(a, b)


def test_progress_counts_bytes_and_reaches_the_end(tmp_path: Path) -> None:
    a, b = make_store(tmp_path / "a", RUNS), make_store(tmp_path / "b", RUNS)
    calls: list[tuple[int, int, str]] = []
    diff_stores(a, b, progress=lambda *call: calls.append(call))
    total = sum(entry.size for entry in a.runs())
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    assert {size for _, size, _ in calls} == {total}
    assert calls[-1][0] == total
    assert {file for _, _, file in calls} == {entry.file for entry in a.runs()}
