"""What a store holds is what its settings say, or it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stores import Store, create_store, open_store
from tests.unit.stores import making
from tests.unit.stores.making import (
    BRANCHES,
    CHANNELS,
    GRID,
    make_store,
    write_run,
)

FILE = "runs/a/0.h5"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", [("a", 0), ("a", 1)])


def test_what_the_settings_do_not_say_is_named(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", making.settings(sites=["mlp"]))
    write_run(store, "a", 0)
    assert [(problem.kind, problem.message) for problem in store.verify()] == [
        ("settings", "site resid is not among the sites of store.json: mlp"),
        ("settings", "site mlp of store.json is not stored"),
    ]


SETTINGS: dict[str, tuple[dict[str, object], list[str]]] = {
    "another dtype": ({"dtype": "fp16"}, ["site resid is stored with the dtype bf16, store.json says fp16"]),
    "another compression": (
        {"compression": "zstd"},
        ["site resid is stored with the compression none, store.json says zstd"],
    ),
    "other layers": ({"layers": [0, 10]}, ["site resid has layers 0,10,20, store.json says 0,10"]),
    "other steps": ({"steps": [2]}, ["site resid has steps 0,2, store.json says 2"]),
    "other branches": (
        {"branches": ["cond"]},
        ["site resid has branches cond, uncond, store.json says cond"],
    ),
    "more layers": (
        {"layers": list(range(21))},
        ["site resid has layers 0,10,20, store.json says 0-20"],
    ),
    "more steps": ({"steps": [0, 1, 2]}, ["site resid has steps 0,2, store.json says 0-2"]),
    "nothing": ({"layers": None, "steps": None, "branches": None, "video": None}, []),
    "another reduction": (
        {"reductions": {"resid": ["norm"]}},
        [
            "site resid is not among the sites of store.json: resid@norm",
            "site resid@norm of store.json is not stored",
        ],
    ),
    "one more reduction": (
        {"reductions": {"resid": ["full", "mean"], "mlp": ["norm"]}},
        ["site resid@mean of store.json is not stored"],
    ),
}


@pytest.mark.parametrize("changed", SETTINGS.values(), ids=SETTINGS.keys())
def test_what_is_stored_otherwise_than_the_settings_say_is_named(
    store: Store, changed: tuple[dict[str, object], list[str]]
) -> None:
    capture, messages = changed
    content = json.loads((store.path / "store.json").read_text())
    content["capture"] |= capture
    (store.path / "store.json").write_text(json.dumps(content))
    (store.path / "runs/a/1.h5").unlink()
    store.reindex()
    problems = open_store(store.path).verify()
    assert [(problem.kind, problem.message) for problem in problems] == [
        ("settings", message) for message in messages
    ]


def write_little(store: Store, variant: str = "base", **sites: list[int]) -> None:
    """A run of one step and branch, with some layers of the sites, without latents and video."""
    with store.writer("a", 0, variant) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        for site, layers in sites.items():
            writer.add_site(site, layers, [0], ["cond"], GRID, CHANNELS, "mean")
            for layer in layers:
                writer.write(site, 0, layer, "cond", np.zeros(CHANNELS, np.uint16), "mean")
        writer.finish()


LITTLE: dict[str, Any] = {
    "sites": ["resid", "mlp"],
    "reductions": {"resid": ["mean"], "mlp": ["mean"]},
    "steps": [0],
    "branches": ["cond"],
}


def test_what_a_run_lacks_of_what_the_settings_say_is_named(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", making.settings(**LITTLE | {"steps": [0, 1], "branches": BRANCHES}))
    write_little(store, resid=[10], mlp=[10, 20])
    write_little(store, "patched", resid=[10])
    assert [(problem.file, problem.kind, problem.message) for problem in store.verify()] == [
        (FILE, "settings", message)
        for message in (
            "site mlp@mean has steps 0, store.json says 0-1",
            "site mlp@mean has branches cond, store.json says cond, uncond",
            "site resid@mean has steps 0, store.json says 0-1",
            "site resid@mean has layers 10, store.json says 0,10,20",
            "site resid@mean has branches cond, store.json says cond, uncond",
        )
    ]


@pytest.mark.parametrize("stream", ["resid", "text", "audio"])
def test_streams_have_what_goes_into_the_first_block(stream: str, tmp_path: Path) -> None:
    captured = {**LITTLE, "sites": [stream, "mlp"], "reductions": {stream: ["mean"], "mlp": ["mean"]}}
    store = create_store(tmp_path / "s", making.settings(**captured, video=None))
    write_little(store, **{stream: [10, 20]}, mlp=[10, 20])
    assert [problem.message for problem in store.verify()] == [
        f"site {stream}@mean has layers 10,20, store.json says 0,10,20"
    ]


def test_a_stream_of_its_own_layers_has_all_of_them(tmp_path: Path) -> None:
    """As that of texts, which ends where single-stream blocks begin."""
    captured = {
        **LITTLE,
        "sites": ["text"],
        "reductions": {"text": ["mean"]},
        "site_layers": {"text": [0, 10]},
    }
    store = create_store(tmp_path / "s", making.settings(**captured, video=None))
    write_little(store, text=[10])
    assert [problem.message for problem in store.verify()] == [
        "site text@mean has layers 10, store.json says 0,10"
    ]


def test_a_site_that_not_all_blocks_have_needs_only_its_own_layers(tmp_path: Path) -> None:
    """As the sublayers of double-stream blocks, which single-stream blocks follow."""
    store = create_store(tmp_path / "s", making.settings(**LITTLE, site_layers={"mlp": [10]}, video=None))
    write_little(store, resid=[0, 10, 20], mlp=[10])
    assert store.verify() == []
    write_little(store, "patched", resid=[10], mlp=[10, 20])
    assert [problem.message for problem in store.verify()] == [
        "site mlp@mean has layers 10,20, store.json says 10"
    ]


@pytest.mark.parametrize(
    ("video", "messages"),
    [
        (True, ["its latents are not stored", "its video is not stored, store.json says it is"]),
        (False, ["its latents are not stored"]),
        (None, []),
    ],
)
def test_latents_and_a_video_that_are_not_there_are_named(
    tmp_path: Path, video: bool | None, messages: list[str]
) -> None:
    store = create_store(tmp_path / "s", making.settings(**LITTLE | {"video": video}))
    write_little(store, resid=[0, 10, 20], mlp=[10, 20])
    write_little(store, "patched", resid=[10])
    assert [(problem.file, problem.message) for problem in store.verify()] == [
        (FILE, message) for message in messages
    ]
