"""An export holds what was selected, whole or not at all, whatever its format."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stores import SelectionError, Store, StoreError
from stores.export import Wanted, export_store, plan_export, write_export
from tests.unit.stores import making, making_sites
from tests.unit.stores.making import latent
from tests.unit.stores.making_sites import (
    BRANCHES,
    KEYS,
    SITES,
    STEPS,
    make_store,
    write_run,
)
from tests.unit.stores.reading_exports import group_names, opened, shards

RUNS = [("maze-3", 0), ("maze-3", 7), ("maze-4", 0)]
FORMATS = {"hdf5": "out.h5", "safetensors": "out", "zarr": "out.zarr"}


def taken(store: Store, wanted: Wanted) -> set[tuple[str, str, tuple[Any, ...]]]:
    """(run, key, (steps, layers, branches)) of everything that is chosen."""
    plan = plan_export(store, store.path.parent / "x.h5", wanted)
    return {
        (run.name, site.info.key, (site.steps, site.layers, site.branches))
        for run in plan.runs
        for site in run.sites
    }


def test_selections_choose_runs_and_slabs(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    found = taken(
        store, Wanted(samples=["maze-3"], seeds="7", sites=("resid",), reductions=("full",), layers="5")
    )
    assert found == {("maze-3/7", "resid", (STEPS, (5,), BRANCHES))}
    found = taken(store, Wanted(samples=["maze-4"], steps="-1", layers="0-1", branches=("cond",)))
    assert found == {
        ("maze-4/0", site.key, ((2,), tuple(n for n in site.layers if n < 2), ("cond",))) for site in SITES
    }
    assert {key for _, key, _ in taken(store, Wanted(layers="0"))} == {"resid", "resid@norm"}
    assert {key for _, key, _ in taken(store, Wanted(sites=("mlp", "resid@norm")))} == {
        "mlp@tokens:5",
        "resid@norm",
    }
    assert {key for _, key, _ in taken(store, Wanted(reductions=("tokens:5", "full")))} == {
        "resid",
        "mlp@tokens:5",
    }
    assert {key for _, key, _ in taken(store, Wanted())} == set(KEYS)


def test_names_may_be_one_text(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    for text, names in (
        (Wanted(sites="resid"), Wanted(sites=("resid",))),
        (Wanted(sites="mlp, resid@norm"), Wanted(sites=["mlp", "resid@norm"])),
        (Wanted(reductions="full"), Wanted(reductions=("full",))),
        (Wanted(reductions="full,tokens:5"), Wanted(reductions={"full", "tokens:5"})),
        (Wanted(branches="uncond,cond"), Wanted(branches=BRANCHES)),
        (Wanted(samples="maze-4", branches="cond"), Wanted(samples=["maze-4"], branches=("cond",))),
        (Wanted(sites="all", reductions="all", branches="all"), Wanted()),
    ):
        assert taken(store, text) == taken(store, names) != set()
    assert taken(store, Wanted(sites="resid")) != taken(store, Wanted())
    for lacking in (Wanted(sites="resid,"), Wanted(reductions=" "), Wanted(branches=",cond")):
        with pytest.raises(SelectionError, match="a name is empty"):
            taken(store, lacking)


@pytest.mark.parametrize("format", FORMATS)
def test_only_what_is_selected_is_there(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]
    wanted = Wanted(
        seeds="0",
        sites=("self_attn",),
        layers="5",
        steps="0",
        branches=("uncond",),
        latents=False,
        video=False,
    )
    export_store(store, out, wanted, format=format)
    expected = making_sites.numbers(("maze-4", 0, 0, 5, "uncond"), SITES[4], "bf16")
    if format == "hdf5":
        with h5py.File(out) as file:
            run = file["maze-4/0"]
            assert sorted(run) == [
                "activations",
                "checksums",
                "condition",
                "projections",
                "scales",
                "schedule",
                "truth",
            ]
            assert list(run["activations"]) == ["self_attn@project:2"]
            np.testing.assert_array_equal(run["activations/self_attn@project:2"], expected[None, None, None])
            assert run["scales/self_attn@project:2/layer"][()].tolist() == [5]
    elif format == "safetensors":
        found = shards(out)
        names = {name for name in found if name.startswith("maze-4/0/activations/")}
        assert names == {"maze-4/0/activations/self_attn@project:2/0/5/uncond"}
        assert not any("latents" in name or "video" in name or "tokens" in name for name in found)
    else:
        array = opened(out, "self_attn@project:2").self_attn
        assert array.shape[:5] == (2, 1, 1, 1, 1)
        np.testing.assert_array_equal(array.sel(sample="maze-4", seed=0).values[0, 0, 0], expected)
        assert not (out / "latents").exists()
        assert not (out / "video").exists()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(samples=["maze-9"]), "no run is selected"),
        (Wanted(sites=("attn",)), "site 'attn': the selected runs of .* have .*resid"),
        (Wanted(reductions=("mean",)), "reduction mean: the selected runs of"),
    ],
)
def test_what_is_not_stored_is_an_error(tmp_path: Path, wanted: Wanted, message: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    with pytest.raises(StoreError, match=message):
        plan_export(store, tmp_path / "out.h5", wanted)


@pytest.mark.parametrize(
    "wanted", [Wanted(layers="7"), Wanted(steps="0-9"), Wanted(seeds="x"), Wanted(reductions=("huge",))]
)
def test_selections_beyond_what_is_stored_are_errors(tmp_path: Path, wanted: Wanted) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(SelectionError):
        plan_export(store, tmp_path / "out.h5", wanted)


def test_a_branch_that_is_not_stored_is_an_error(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(StoreError, match="branch 'both'"):
        plan_export(store, tmp_path / "out.h5", Wanted(branches=("both",)))


def test_latents_alone_can_be_exported(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    export_store(store, tmp_path / "out.h5", Wanted(sites=(), video=False))
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file["maze-3/0"]) == ["checksums", "condition", "latents", "schedule", "truth"]
        np.testing.assert_array_equal(file["maze-3/0/latents/noisy"][1], latent(0, 1))


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_is_known_before(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    plan = plan_export(store, tmp_path / FORMATS[format], format=format)
    slabs = {
        "hdf5": sum(entry.size for entry in store.runs()),
        "safetensors": sum(run.raw_bytes for run in plan.runs),
        "zarr": sum(run.raw_bytes for run in plan.runs),
    }[format]
    assert slabs <= plan.size < 1.2 * slabs


@pytest.mark.parametrize("format", FORMATS)
def test_too_little_space_is_said_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    import shutil

    store = make_store(tmp_path / "s", RUNS)
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("stores.files.shutil.disk_usage", lambda _: free)
    with pytest.raises(StoreError, match=r"exporting 3 runs needs [0-9,]+ bytes .* has 1,000 free"):
        plan_export(store, tmp_path / FORMATS[format], format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_an_interrupted_export_leaves_nothing(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]

    def interrupt(done: int, total: int, file: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(plan_export(store, out, format=format), interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


INTERRUPTED = """
import os, signal, sys, threading
from stores import open_store
from stores.export import export_store

def soon():
    threading.Timer(float(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGINT)).start()

def progress(done, total, file):
    global soon
    soon()
    soon = lambda: None

try:
    export_store(open_store(sys.argv[1]), sys.argv[2], format=sys.argv[3], progress=progress)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.06])
@pytest.mark.parametrize("format", FORMATS)
def test_ctrl_c_at_any_moment_leaves_nothing(tmp_path: Path, format: str, delay: float) -> None:
    store = make_store(tmp_path / "s", [("maze-3", seed) for seed in range(12)])
    arguments = [store.path, tmp_path / "out", format, delay]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, arguments)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 130), done.stderr
    left = sorted(path.name for path in tmp_path.iterdir())
    # It may come when the export has its name already, and then is whole.
    assert left in ([["out", "s"]] if done.returncode == 0 else [["s"], ["out", "s"]]), done.stderr
    if "out" in left:
        out = tmp_path / "out"
        found = [path.stat().st_size for path in (out, *out.rglob("*")) if path.is_file()]
        assert sum(found) == export_store(store.path, tmp_path / "again", format=format)


LIMITED = """
import resource, sys
from stores import StoreError, open_store
from stores.export import export_store

resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    export_store(open_store(sys.argv[1]), sys.argv[2], format=sys.argv[3])
except StoreError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_refuses_is_said_and_leaves_nothing(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS, "fp32")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(store.path), str(tmp_path / "out"), format],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written: " in done.stderr
    assert "ile too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_is_replaced_only_with_force(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]
    export_store(store, out, format=format)
    before = contents(out)
    with pytest.raises(StoreError, match="this exists; replace it with --force"):
        plan_export(store, out, format=format)
    assert contents(out) == before
    export_store(store, out, Wanted(seeds="7", sites=("resid",)), format=format, force=True)
    assert contents(out) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["s", out.name])


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("format", FORMATS)
def test_force_never_replaces_what_is_no_export(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="no such export, so --force does not replace it"):
        plan_export(store, out, format=format, force=True)
    with pytest.raises(StoreError, match="beside the store"):
        plan_export(store, store.path / "results" / out.name, format=format, force=True)
    with pytest.raises(StoreError, match="beside the store"):
        plan_export(store, store.path, format=format, force=True)
    assert (out / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_made_meanwhile_is_not_replaced(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    plan = plan_export(store, out, format=format)
    out.write_text("somebody else's")
    with pytest.raises(StoreError, match="this exists"):
        write_export(plan)
    assert out.read_text() == "somebody else's"


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("format", FORMATS)
def test_damage_is_never_exported(tmp_path: Path, format: str, compression: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression=compression)
    path = store.path / "runs/maze-3/0.h5"
    with h5py.File(path) as file:
        place = file["activations/resid"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 20] ^= 1
    path.write_bytes(data)
    out = tmp_path / FORMATS[format]
    with pytest.raises(StoreError, match=r"maze-3/0\.h5: damaged, .* does not match its checksum"):
        export_store(store, out, format=format)
    assert not out.exists()


def test_a_format_has_to_be_clear(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(StoreError, match="which format"):
        plan_export(store, tmp_path / "out")
    with pytest.raises(StoreError, match="format 'csv'"):
        plan_export(store, tmp_path / "out.h5", format="csv")
    with pytest.raises(StoreError, match="shard-size"):
        plan_export(store, tmp_path / "out", format="safetensors", shard_size=0)
    assert plan_export(store, tmp_path / "out.h5", format="zarr").format == "zarr"


@pytest.mark.parametrize("format", FORMATS)
def test_progress_reaches_its_total(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    opening: list[tuple[int, int, str]] = []
    calls: list[tuple[int, int, str]] = []
    plan = plan_export(
        store, tmp_path / FORMATS[format], format=format, progress=lambda *call: opening.append(call)
    )
    size = write_export(plan, lambda *call: calls.append(call))
    assert [done for done, _, _ in opening] == [0, 1, 2]
    assert calls[-1][0] == calls[-1][1] == sum(run.raw_bytes for run in plan.runs)
    assert {file for _, _, file in calls} == {entry.file for entry in store.runs()}
    assert size == sum(len(content) for content in contents(plan.out).values())


def test_a_run_without_video_is_exported_without(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s")
    write_run(store, "maze-3", 0, video=False)
    write_run(store, "maze-3", 1)
    for format, name in FORMATS.items():
        export_store(store, tmp_path / name, format=format)
    with h5py.File(tmp_path / "out.h5") as file:
        assert [name for name in group_names(file) if f"{name}/video" in file] == ["maze-3/1"]
    assert opened(tmp_path / "out.zarr", "video").video.sel(seed=0).values.max() == 0


@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(making, "GRID", (4, 16, 16))
    # So large that a slab is more than what libraries leave for the collector of cycles, whenever that comes.
    monkeypatch.setattr(making, "CHANNELS", 256)
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", 2_000_000)
    store = making.make_store(tmp_path / "s", [(f"maze-{n}", 0) for n in range(8)])
    options: dict[str, Any] = {"format": format, "shard_size": 2_000_000}
    # Libraries keep what they load at their first use.
    export_store(store, tmp_path / f"first-{FORMATS[format]}", Wanted(samples="maze-0"), **options)
    plan = plan_export(store, tmp_path / FORMATS[format], **options)
    tracemalloc.start()
    write_export(plan)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    slab = 2 * 4 * 16 * 16 * 256
    assert sum(run.raw_bytes for run in plan.runs) > 96 * slab
    assert peak < 12 * slab


@pytest.mark.parametrize("format", FORMATS)
def test_others_may_read_an_export(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    export_store(store, out, format=format)
    (tmp_path / "new").touch()
    usual = (tmp_path / "new").stat().st_mode
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {usual}
