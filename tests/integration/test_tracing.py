"""Tracing into a real store."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cosinterp.errors import SampleError, StoreError, TraceError, UserError
from cosinterp.models.loading import load
from cosinterp.models.model import Model
from cosinterp.planning import plan as planning
from cosinterp.samples import Sample
from cosinterp.tracing import trace
from stores import Store, open_store
from stores.writer import RunWriter
from tests.integration.hooks import HookedRun, as_stored
from tests.tiny import KINDS, build, sample_for
from tests.tiny.wan import GRID

NUM_STEPS = 4


def run_trace(model: Model, kind: str, path: Path, **choices: Any) -> Store:
    settings: dict[str, Any] = {"seeds": "0", "sites": "all", "num_steps": NUM_STEPS, **choices}
    samples = settings.pop("samples", sample_for(kind))
    return trace(model, samples, store=path, **settings)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_store_holds_the_bits_that_hooks_see(
    kind: str, dtype: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = tiny_model(kind, dtype)
    store = run_trace(model, kind, tmp_path / "store", seeds="7")
    sample = sample_for(kind)
    settings = model.sampling(sample, {"num_steps": NUM_STEPS})
    hooked = HookedRun(model, guided=True)
    with hooked.attached():
        plain = model.pipeline(**model.arguments(sample, (7,), settings)).frames
    compared = 0
    with store.run(sample.name, 7) as run:
        for (site, layer, step, branch, _), value in hooked.values.items():
            if site == "resid" or site.endswith(".raw"):
                stored = run.read(site, step, layer, branch, raw=True)
                assert np.array_equal(stored, as_stored(value[0].reshape(*GRID, -1), dtype))
                compared += 1
        assert run.video is not None
        assert np.array_equal(run.video, (plain[0] * 255).round().astype(np.uint8))
    assert compared == NUM_STEPS * 2 * 13
    assert store.verify() == []


@pytest.mark.parametrize("kind", KINDS)
def test_latents_and_schedule_repeat_the_denoising(
    kind: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = tiny_model(kind)
    store = run_trace(model, kind, tmp_path / "store", sites="resid")
    with store.run("sample-0", 0) as run:
        timestep, sigma, expert, clean = run.schedule
        assert list(timestep) == sorted(timestep, reverse=True)
        assert sigma[-1] == 0
        assert len(sigma) == len(timestep) + 1 == NUM_STEPS + 1
        assert np.array_equal(clean, np.stack([np.ones(NUM_STEPS), -sigma[:-1]], axis=1))
        assert set(expert) == set(range(KINDS[kind].experts))
        assert run.video is not None
        assert np.array_equal(model.decode(run.noisy(NUM_STEPS)), run.video)
        last = run.clean_estimate(NUM_STEPS - 1)
        np.testing.assert_allclose(last, run.noisy(NUM_STEPS), atol=1e-5)
        pinned = KINDS[kind].expand_timesteps and KINDS[kind].image
        same_first_frame = [
            np.array_equal(run.clean_estimate(step)[:, 0], run.noisy(NUM_STEPS)[:, 0])
            for step in range(NUM_STEPS - 1)
        ]
        assert same_first_frame == [pinned] * (NUM_STEPS - 1)


def test_a_run_holds_what_is_needed_to_repeat_it(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model = tiny_model("wan2.2-i2v-a14b")
    sample = sample_for("wan2.2-i2v-a14b")
    store = run_trace(model, "wan2.2-i2v-a14b", tmp_path / "store", sites="resid", guidance_scale=2.5)
    with store.run(sample.name, 0) as run:
        attrs = run.attrs
        assert run.image is not None
        assert run.video is not None
        assert np.array_equal(run.image, np.asarray(sample.image))
        repeated = Sample("again", run.prompt, Image.fromarray(run.image))
        again = model.generate(repeated, attrs["seed"], **attrs["sampling"])
        assert np.array_equal(again, run.video)
    assert attrs["model"]["weights_sha256"] == model.weights_sha256
    assert attrs["scheduler"]["config"]["flow_shift"] == 3.0
    assert set(attrs["versions"]) >= {"cosinterp", "torch", "diffusers", "nnsight"}


def test_rows_of_a_batch_are_the_runs_of_their_seeds(
    tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    kind = "wan2.2-i2v-a14b"
    model = tiny_model(kind)
    together = run_trace(model, kind, tmp_path / "together", seeds=[3, 5, 9], batch=2)
    single = run_trace(model, kind, tmp_path / "single", seeds=[3, 5, 9])
    assert [entry.seed for entry in together.runs()] == [3, 5, 9]
    for seed in (3, 5, 9):
        with together.run("sample-0", seed) as one, single.run("sample-0", seed) as other:
            assert np.array_equal(one.noisy(0), other.noisy(0))
            for site in model.sites:
                for step in range(NUM_STEPS):
                    np.testing.assert_allclose(
                        one.read(site, step, 2, "uncond"), other.read(site, step, 2, "uncond"), atol=2e-5
                    )
    settings = model.sampling(sample_for(kind), {"num_steps": NUM_STEPS})
    plain = model.pipeline(**model.arguments(sample_for(kind), (3, 5), settings)).frames
    for row, seed in enumerate((3, 5)):
        with together.run("sample-0", seed) as run:
            assert run.video is not None
            assert np.array_equal(run.video, (plain[row] * 255).round().astype(np.uint8))
    with together.run("sample-0", 3) as run:
        assert run.attrs["batch_seeds"] == [3, 5]
        seed_3 = run.noisy(0)
    with together.run("sample-0", 5) as run:
        assert not np.array_equal(run.noisy(0), seed_3)


def test_selections_keep_only_what_they_name(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    kind = "wan2.2-t2v-a14b"
    model = tiny_model(kind)
    everything = run_trace(model, kind, tmp_path / "all")
    some = run_trace(
        *(model, kind, tmp_path / "some"),
        layers="0,3",
        sites="resid,mlp",
        save_steps="1,3",
        branches="uncond",
        dtype="bf16",
        save_video=False,
    )
    with some.run("sample-0", 0) as run:
        assert {site: info.layers for site, info in run.sites.items()} == {"resid": (0, 3), "mlp": (3,)}
        assert run.sites["resid"].steps == (1, 3)
        assert run.sites["resid"].branches == ("uncond",)
        assert run.video is None
        full = everything.read("mlp", 3, 3, "sample-0", 0, "uncond")
        kept = run.read("mlp", 3, 3)
        assert np.array_equal(kept, torch.from_numpy(full).bfloat16().float().numpy())
        assert np.array_equal(run.noisy(NUM_STEPS), everything.run("sample-0", 0).noisy(NUM_STEPS))


def test_a_40_block_model_has_41_layers(tmp_path: Path) -> None:
    model = load(build("wan2.1-t2v", tmp_path / "deep", num_blocks=40), device="cpu")
    store = trace(
        model, sample_for("wan2.1-t2v"), store=tmp_path / "store", seeds=0, layers="0-40", num_steps=2
    )
    with store.run("sample-0", 0) as run:
        assert run.sites["resid"].layers == tuple(range(41))


def test_resuming_makes_only_what_is_missing(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model, path = tiny_model("wan2.1-t2v"), tmp_path / "store"
    run_trace(model, "wan2.1-t2v", path, seeds="0-1")
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*.h5")}
    with pytest.raises(TraceError, match="already has 2 of these 4 runs"):
        run_trace(model, "wan2.1-t2v", path, seeds="0-3")
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*.h5")} == before
    store = run_trace(model, "wan2.1-t2v", path, seeds="0-3", resume=True)
    assert [entry.seed for entry in store.runs()] == [0, 1, 2, 3]
    assert {file: file.stat().st_mtime_ns for file in before} == before


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"prompt": "go to the blue goal"}, "prompt"),
        ({"num_frames": 7}, "sampling settings"),
        ({"truth": {"path": np.eye(3), "goal": "blue"}}, "truth"),
        ({"truth": {"path": np.eye(3)}}, "truth"),
        ({"truth": {"path": np.zeros(3), "goal": "red"}, "prompt": "stay"}, "prompt, truth"),
    ],
)
def test_resuming_refuses_another_sample_of_the_same_name(
    other: dict[str, Any], differs: str, tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    model, path = tiny_model("wan2.1-t2v"), tmp_path / "store"
    sample = replace(sample_for("wan2.1-t2v"), truth={"path": np.eye(3), "goal": "red"})
    run_trace(model, "wan2.1-t2v", path, samples=sample)
    run_trace(model, "wan2.1-t2v", path, samples=replace(sample), resume=True)
    with pytest.raises(TraceError, match=rf"another sample .* sample-0 \(it differs in {differs}\)"):
        run_trace(*(model, "wan2.1-t2v", path), samples=replace(sample, **other), seeds="0-1", resume=True)


def test_numbers_of_any_kind_are_seeds(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model = tiny_model("wan2.1-t2v")
    choices: dict[str, Any] = {"sites": "resid", "save_video": False}
    run_trace(model, "wan2.1-t2v", tmp_path / "one", seeds=np.int64(3), **choices)
    table = open_store(tmp_path / "one").table()
    store = run_trace(model, "wan2.1-t2v", tmp_path / "more", seeds=table["seed"] + 1, **choices)
    assert [entry.seed for entry in store.runs()] == [4]


def test_too_little_space_is_refused_before_anything_is_made(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(TraceError, match=r"1 run would take .* has 100 kB free"):
        run_trace(tiny_model("wan2.1-t2v"), "wan2.1-t2v", tmp_path / "deep" / "store")
    assert list(tmp_path.iterdir()) == []


def test_planned_bytes_cover_the_file(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model, kind = tiny_model("wan2.2-ti2v-5b-image"), "wan2.2-ti2v-5b-image"
    plans: list[planning.TracePlan] = []

    class Watcher:
        def planned(self, plan: planning.TracePlan, todo: object) -> None:
            plans.append(plan)

        def step(self, *_: object) -> None: ...

        def finished(self, *_: object) -> None: ...

    store = run_trace(model, kind, tmp_path / "store", progress=Watcher())
    size = store.runs()[0].size
    assert size <= plans[0].run_bytes(plans[0].samples[0]) <= 1.5 * size


def test_a_writer_that_fails_stops_the_trace_and_leaves_nothing(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunWriter.write
    written = []

    def failing(self: RunWriter, *args: Any, **choices: Any) -> None:
        written.append(args)
        if len(written) > 20:
            raise StoreError("the disk is full")
        write(self, *args, **choices)

    monkeypatch.setattr(RunWriter, "write", failing)
    model = tiny_model("wan2.1-t2v")
    with pytest.raises(StoreError, match="the disk is full"):
        # As little memory as one layer needs: the model waits for the writer all the time.
        run_trace(
            *(model, "wan2.1-t2v", tmp_path / "store"), host_memory=3 * 4 * 4 * 24 * 4, save_video=False
        )
    assert list((tmp_path / "store").rglob("*.h5*")) == []
    assert open_store(tmp_path / "store").runs() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cosinterp-writer")]


def test_runs_that_a_trace_kept_when_it_failed_are_told(
    tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    path = tmp_path / "store"
    told: list[tuple[str, int]] = []

    class Failing:
        def planned(self, *_: object) -> None: ...

        def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
            if seeds == (1,):
                deadline = time.monotonic() + 10
                while not open_store(path).has(sample, 0) and time.monotonic() < deadline:
                    time.sleep(0.01)
                raise ZeroDivisionError

        def finished(self, sample: str, seed: int) -> None:
            told.append((sample, seed))

    with pytest.raises(ZeroDivisionError):
        run_trace(tiny_model("wan2.1-t2v"), "wan2.1-t2v", path, seeds="0-1", progress=Failing())
    assert told == [("sample-0", 0)]
    assert [entry.seed for entry in open_store(path).runs()] == [0]


def test_an_error_puts_the_pipeline_back(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model = tiny_model("wan2.2-i2v-a14b")
    kind = "wan2.2-i2v-a14b"

    class Failing:
        def planned(self, *_: object) -> None: ...

        def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
            raise ZeroDivisionError(f"at step {step}")

        def finished(self, *_: object) -> None: ...

    with pytest.raises(ZeroDivisionError, match="at step 0"):
        run_trace(model, kind, tmp_path / "store", progress=Failing())
    pipeline = model.pipeline
    assert "step" not in vars(pipeline.scheduler)
    assert "prepare_latents" not in vars(pipeline)
    for expert in (pipeline.transformer, pipeline.transformer_2):
        assert "cache_context" not in vars(expert)
        assert not expert._forward_pre_hooks
    run_trace(model, kind, tmp_path / "store", resume=True)


@pytest.mark.parametrize(
    ("kind", "choices", "error", "message"),
    [
        ("wan2.1-t2v", {"layers": "0-8"}, UserError, "this model has layers 0-3"),
        ("wan2.1-t2v", {"layers": "3-1"}, UserError, "runs backwards"),
        (
            "wan2.1-t2v",
            {"layers": "0", "sites": "mlp"},
            UserError,
            "the site mlp is at layers 1 to 3, and none of them is selected",
        ),
        ("wan2.1-t2v", {"save_steps": "4"}, UserError, "this run has steps 0-3"),
        ("wan2.1-t2v", {"sites": "resid,attn"}, UserError, 'unknown site "attn"'),
        ("wan2.1-t2v", {"branches": "both"}, UserError, 'unknown branch "both"'),
        (
            "wan2.1-t2v",
            {"branches": "uncond", "guidance_scale": 1.0},
            UserError,
            "it needs guidance_scale above 1",
        ),
        ("wan2.1-t2v", {"dtype": "int8"}, TraceError, 'unknown store dtype "int8"'),
        ("wan2.1-t2v", {"batch": 0}, TraceError, "batch has to be 1 or more"),
        ("wan2.1-t2v", {"seeds": "-1"}, UserError, "seeds"),
        ("wan2.1-t2v", {"seeds": []}, UserError, "nothing is selected"),
        ("wan2.1-t2v", {"height": 40}, SampleError, "multiples of 16 and 16"),
        ("wan2.1-t2v", {"num_frames": 6}, SampleError, "such as 5 or 7"),
        ("wan2.1-t2v", {"num_steps": 0}, TraceError, "num_steps has to be a whole number above 0"),
        ("wan2.1-t2v", {"eta": 1.0}, TraceError, 'no sampling setting "eta"'),
        ("wan2.1-t2v", {"guidance_scale_2": 3.0}, TraceError, "takes no guidance_scale_2"),
        ("wan2.1-t2v", {"host_memory": 1000}, TraceError, "does not hold one layer"),
        ("wan2.1-t2v", {"samples": []}, TraceError, "no sample"),
        ("wan2.1-t2v", {"samples": Sample("red/0", "go")}, StoreError, "sample name 'red/0'"),
        ("wan2.1-i2v", {"max_sequence_length": 16}, TraceError, "max_sequence_length of 512 only"),
        ("wan2.1-i2v", {"samples": Sample("a", "b")}, SampleError, "has no image"),
        ("wan2.1-t2v", {"samples": sample_for("wan2.1-i2v")}, SampleError, "has an image"),
        ("wan2.2-ti2v-5b", {"samples": sample_for("wan2.1-i2v")}, SampleError, "WanImageToVideoPipeline"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    kind: str,
    choices: dict[str, Any],
    error: type[UserError],
    message: str,
    tiny_model: Callable[..., Model],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message) as raised:
        run_trace(tiny_model(kind), kind, tmp_path / "store", **{"sites": "resid", **choices})
    assert len(str(raised.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_store_with_other_settings_is_refused(tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    model, path = tiny_model("wan2.1-t2v"), tmp_path / "store"
    run_trace(model, "wan2.1-t2v", path, sites="resid")
    with pytest.raises(StoreError, match=r"capture\.layers: 0-3 here, 0-1 asked"):
        run_trace(model, "wan2.1-t2v", path, sites="resid", layers="0-1", seeds="5")
