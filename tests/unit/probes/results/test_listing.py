"""A store's results are listed from what their files say, whatever is among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import cosinterp as ci
from probes.results.files import read_header, save_result
from probes.results.listing import Results, results
from probes.results.result import Result
from stores import Store, StoreError
from stores.errors import VersionError
from tests.unit.probes.patched import full_grid
from tests.unit.stores.making import make_store


def saved(store: Path, name: str, **told: object) -> Path:
    made = full_grid("x0_along", lambda pair, step, layer, way, control: layer + pair, pairs=3)
    return save_result(store, name, made, {"kind": "patch", "created": "2026-01-31T12:34:56Z"} | told)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = make_store(tmp_path / "mazes")
    saved(made.path, "flip")
    saved(made.path, "newer", kind="telepathy")
    (made.path / "results" / "cut.nc").write_bytes((made.path / "results" / "flip.nc").read_bytes()[:5000])
    (made.path / "results" / "foreign.nc").write_text("hello")
    return made


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("numbers were read")


def test_the_list_is_a_mapping_by_name(store: Store) -> None:
    found = ci.results(store)
    assert list(found) == ["cut", "flip", "foreign", "newer"]
    assert len(found) == 4
    assert "flip" in found
    assert "flop" not in found
    assert isinstance(found["flip"], ci.Result)
    assert found["flip"].name == "flip"
    assert found["flip"].dataset.sizes["patch"] == 3 * 3 * 4 * 2 * 2
    assert found.get("flop") is None
    with pytest.raises(KeyError, match="mazes has no result flop; there are: cut, flip, foreign, newer"):
        found["flop"]


def test_listing_reads_no_numbers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (store.path / "results" / "flip.nc").read_bytes()
    for index in range(30):
        (store.path / "results" / f"more-{index:02d}.nc").write_bytes(content)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", refuse)
    monkeypatch.setattr(h5py.Dataset, "read_direct", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    found = results(store.path)
    assert len(repr(found).splitlines()) == 2 + 34
    with pytest.raises(AssertionError, match="numbers were read"):
        _ = found["flip"]


def test_its_table_says_what_each_is(store: Store) -> None:
    head, columns, *lines = repr(results(store)).splitlines()
    assert head == f"{store.path}: 4 results"
    assert columns.split() == ["name", "kind", "title", "n", "size", "created", "(UTC)"]
    by_name = {line.split()[0]: line for line in lines}
    assert "patch 144" in by_name["flip"]
    assert "Patching: one run's activations put into another" in by_name["flip"]
    assert by_name["flip"].endswith("2026-01-31 12:34")
    assert "unknown to this version" in by_name["newer"]
    assert by_name["cut"].split(maxsplit=1)[1].strip() == "cannot be read"
    assert by_name["foreign"].split(maxsplit=1)[1].strip() == "cannot be read"
    assert "<td>flip</td>" in results(store)._repr_html_()


def test_of_many_dimensions_the_first_are_listed(store: Store) -> None:
    many = xr.Dataset({"score": (("step", "layer", "row", "col", "rgb"), np.zeros((2, 3, 4, 5, 3)))})
    save_result(store.path, "many", many, {"kind": "patch"})
    assert {entry.name: entry.n for entry in results(store).entries}[
        "many"
    ] == "step 2, layer 3, row 4, 2 more"


def test_what_is_wrong_with_a_file_is_in_the_list_and_raised_when_it_is_opened(store: Store) -> None:
    found = results(store)
    errors = {entry.name: entry.error for entry in found.entries}
    assert errors["flip"] is None
    for name in ("cut", "foreign"):
        assert f"{name}.nc: damaged, or no result" in str(errors[name])
        with pytest.raises(StoreError, match=f"{name}.nc: damaged, or no result"):
            _ = found[name]
    told = next(entry.to_json() for entry in found.entries if entry.name == "cut")
    assert told["kind"] is None
    assert told["bytes"] is None


def test_a_store_without_results_lists_none_and_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    empty = results(make_store(tmp_path / "empty"))
    assert list(empty) == []
    assert repr(empty) == f"{tmp_path / 'empty'}: 0 results"
    with pytest.raises(StoreError, match="nowhere"):
        results(tmp_path / "nowhere")


def test_a_header_says_what_the_opened_result_says(tmp_path: Path) -> None:
    dataset = xr.Dataset(
        {"score": (("step", "layer"), np.zeros((12, 9))), "who": ("run", np.array(["a", "bc", "d"]))},
        coords={"step": np.arange(12)},
        attrs={"n": 7, "level": 0.95, "title": "größer", "list": np.array([1, 2])},
    )
    path = save_result(tmp_path, "grid", dataset, {"kind": "probe", "asked": {"steps": "all"}})
    header = read_header(path)
    opened = Result.open(path)
    assert header.sizes == {"step": 12, "layer": 9, "run": 3} == dict(opened.dataset.sizes)
    assert header.provenance == opened.provenance
    assert header.size == path.stat().st_size
    assert {name: header.attrs[name] for name in ("n", "level", "title")} == {
        "n": 7,
        "level": 0.95,
        "title": "größer",
    }
    assert header.attrs["list"].tolist() == [1, 2]
    assert set(header.attrs) == {"n", "level", "title", "list"}


@pytest.mark.parametrize(
    ("harm", "kind", "message"),
    [
        (lambda file: file.attrs.__setitem__("version", 9), VersionError, "format version 9"),
        (lambda file: file.attrs.__delitem__("format"), StoreError, "this is no result of cosinterp"),
        (lambda file: file.attrs.__setitem__("provenance", "{"), StoreError, "damaged, or no result"),
    ],
)
def test_a_header_that_cannot_be_read_is_told_as_opening_tells_it(
    tmp_path: Path, harm: Callable[[h5py.File], None], kind: type[StoreError], message: str
) -> None:
    path = saved(tmp_path, "flip")
    with h5py.File(path, "r+") as file:
        harm(file)
    for read in (read_header, Result.open):
        with pytest.raises(kind, match=message):
            read(path)


def test_a_header_of_nothing_is_told(tmp_path: Path) -> None:
    saved(tmp_path, "flip")
    with pytest.raises(StoreError, match="flop.nc: no such result; there are flip"):
        read_header(tmp_path / "results" / "flop.nc")
    assert Results(tmp_path / "nothing").entries == []
