"""A single flipped bit, anywhere in a file of any kind, is found, or what is read is still right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from stores import Run, Store, StoreError, layout
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import LAYERS, STEPS, Kind, make_store

FILE = "runs/a/0.h5"
KINDS = [
    Kind("bf16"),
    Kind("fp8"),
    Kind("bf16", "lz4"),
    Kind("fp8", "zstd"),
    Kind("bf16", reductions=("project:8", "tokens:5")),
]
FLIPS = 30

READS: dict[str, Callable[[Run, str], list[np.ndarray]]] = {
    "whole": lambda run, key: [run.read(key, step, layer) for step in STEPS for layer in LAYERS],
    "raw": lambda run, key: [run.read(key, step, layer, raw=True) for step in STEPS for layer in LAYERS],
    "extras": lambda run, key: [
        *([run.token_places(key)] if "tokens" in key else []),
        *([run.projection(key)] if "project" in key else []),
        *(
            factors
            for step in STEPS
            for layer in LAYERS
            if (factors := run.factors(key, step, layer)) is not None
        ),
    ],
    "frames": lambda run, key: [
        run.read(key, step, layer, frames="1,3", cols="0-9")
        for step in STEPS
        for layer in LAYERS
        if "tokens" not in key
    ],
    "tokens": lambda run, key: [
        run.read(key, step, layer, tokens=[883, 0, 300, 301, 450])
        for step in STEPS
        for layer in LAYERS
        if "tokens" not in key
    ],
}


def flip(path: Path, position: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def everything(path: Path, reading: str) -> list[tuple[tuple[int, ...], bytes]]:
    """All that this way of reading gives, in a form that can be compared. Nothing was checked before."""
    with Run(path) as run:
        return [(found.shape, found.tobytes()) for key in run.sites for found in READS[reading](run, key)]


def refusal(path: Path, reading: str, expected: object) -> StoreError | None:
    """Why this cannot be read; None if it can, and is right."""
    try:
        found = everything(path, reading)
    except StoreError as error:
        return error
    assert found == expected, f"read wrongly: {reading}"
    return None


def positions(store: Store) -> list[int]:
    """Of the file's bytes: some of each dataset's chunks, and some of all."""
    path = store.path / FILE
    rng = np.random.default_rng(0)
    found = rng.integers(0, path.stat().st_size, FLIPS // 2).tolist()
    with h5py.File(path) as file:
        for key in list(file["activations"]):
            chunks: list[h5py.h5d.StoreInfo] = []
            file[f"activations/{key}"].id.chunk_iter(chunks.append)
            for chunk in chunks:
                ends = (chunk.byte_offset, chunk.byte_offset + chunk.size - 1)
                found += [*ends, *rng.integers(*ends, FLIPS // 2 // len(chunks)).tolist()]
    return found


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("several_chunks", [False, True], ids=["one chunk", "several chunks"])
def test_a_flipped_bit_is_found_or_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, several_chunks: bool
) -> None:
    if several_chunks:
        monkeypatch.setattr(layout, "MAX_CHUNK", 20_000)
    store = make_store(tmp_path / "s", kind)
    path = store.path / FILE
    right = {reading: everything(path, reading) for reading in READS}
    refused = 0
    for number, position in enumerate(positions(store)):
        flip(path, position, number % 8)
        verified = not any(problem.kind == "damaged" for problem in store.verify())
        for reading, expected in right.items():
            error = refusal(path, reading, expected)
            if error is not None:
                refused += 1
                assert not verified, f"byte {position}: verify found nothing, but {error}"
                assert str(path) in str(error)
        flip(path, position, number % 8)
    assert refused > FLIPS
    assert store.verify() == []
    assert {reading: everything(path, reading) for reading in READS} == right


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_file_cut_anywhere_is_named_and_not_read(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path / "s", kind)
    path = store.path / FILE
    content = path.read_bytes()
    for length in np.random.default_rng(0).integers(0, len(content), 20).tolist():
        path.write_bytes(content[:length])
        assert next((problem.file, problem.kind) for problem in store.verify()) == (FILE, "damaged")
        for reading in READS:
            with pytest.raises(StoreError, match=r"0\.h5: damaged, "):
                everything(path, reading)


@pytest.mark.parametrize("kind", KINDS[:3], ids=str)
def test_a_file_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path / "s", kind)
    path = store.path / FILE
    with h5py.File(path) as file:
        last = file["activations/resid"].id.get_chunk_info(3).byte_offset
    with store.run("a", 0) as run:
        assert np.array_equal(run.read("resid", 0, 0), making.slab("a", 0, 0, 0, kind, "full").values)
        with path.open("r+b") as file:
            file.truncate(last + 100)
        for chosen in ({}, {"frames": "3"}, {"tokens": [883]}):
            with pytest.raises(StoreError, match=r"0\.h5: damaged, it is cut short"):
                run.read("resid", 2, 10, **chosen)


def test_a_damaged_block_spares_the_others(tmp_path: Path) -> None:
    kind = Kind("bf16")
    store = make_store(tmp_path / "s", kind)
    with h5py.File(store.path / FILE) as file:
        chunk = file["activations/resid"].id.get_chunk_info_by_coord((0, 0, 0, 0, 0, 0, 0))
    assert chunk.size > layout.BLOCK
    flip(store.path / FILE, chunk.byte_offset + layout.BLOCK + 5, 0)
    whole = making.slab("a", 0, 0, 0, kind, "full").values
    assert np.array_equal(store.read("resid", 0, 0, "a", 0, frames="0"), whole[:1])
    for chosen in ({"frames": "3"}, {}):
        with pytest.raises(StoreError, match=r"resid at \(0, 0, 0, 0\) does not match its checksum"):
            store.read("resid", 0, 0, "a", 0, **chosen)
