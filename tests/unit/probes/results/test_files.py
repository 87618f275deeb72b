"""Results come back as they were saved, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.results.files import (
    list_results,
    open_result,
    provenance_of,
    read_header,
    result_path,
    save_result,
)
from stores import StoreError
from stores.errors import VersionError

ASKED = {"command": "cosinterp patch runs", "layers": [1, 2], "model": {"name": "maze-wan", "dtype": None}}


def some() -> xr.Dataset:
    return xr.Dataset(
        {
            "x0_moved": (
                "patch",
                np.array([0.5, np.nan, -np.inf]),
                {"kind": "mean", "valid_min": 0.0},
            ),
            "error": ("patch", np.array(["", "measure maze: größer", 'a "quoted"\nline'])),
            "done": ("patch", np.array([True, False, True])),
            "layer": ("patch", np.array([0, 4, 2**40])),
        },
        coords={"site": ("patch", np.array(["resid", "mlp", "resid"]))},
        attrs={"title": "a title"},
    )


def test_a_result_comes_back_as_it_was(tmp_path: Path):
    path = save_result(tmp_path, "flip", some(), ASKED)
    assert path == tmp_path / "results" / "flip.nc" == result_path(tmp_path, "flip")
    found = open_result(path)
    xr.testing.assert_identical(found.drop_attrs(deep=False), some().drop_attrs(deep=False))
    assert found.attrs["title"] == "a title"
    for name in some().variables:
        assert found[name].dtype.kind == some()[name].dtype.kind, name
    assert found.x0_moved.attrs == {"kind": "mean", "valid_min": 0.0}


def test_it_is_what_xarray_reads(tmp_path: Path):
    """With all that a file can hold: dimensions without coordinates, scalars, empty and odd attributes."""
    odd = {
        "empty": "",
        "texts": ["größer", ""],
        "one": [1],
        "none": np.array([], np.float64),
        "single": np.float32(0.1),
        "whole": 3,
        "many": [1.5, 2.5],
    }
    dataset = some().assign(
        scalar=((), 2.5, odd),
        word=((), np.array("größer")),
        bare=(("row", "col"), np.arange(6, dtype=np.int16).reshape(2, 3)),
        nothing=("gone", np.empty(0, np.float32)),
        wordless=("gone", np.empty(0, np.str_)),
        filled=("row", np.array([1.0, np.nan]), {"units": "1", "long_name": "a name"}),
    )
    dataset = dataset.assign_coords(seed=("seed", [3, 5]), name=("seed", ["a", "bc"])).assign_attrs(odd)
    path = save_result(tmp_path, "odd", dataset, ASKED)
    found, expected = open_result(path), xr.load_dataset(path, engine="h5netcdf")
    xr.testing.assert_identical(found, expected)
    assert list(found.data_vars) == list(expected.data_vars)
    assert list(found.coords) == list(expected.coords)
    assert dict(found.sizes) == dict(expected.sizes) == read_header(path).sizes
    for name in expected.variables:
        assert found[name].dtype == expected[name].dtype, name
        assert _kinds(found[name].attrs) == _kinds(expected[name].attrs), name
    assert _kinds(found.attrs) == _kinds(expected.attrs)


def _kinds(attrs: dict[str, object]) -> dict[str, tuple[type, object]]:
    return {name: (type(value), getattr(value, "dtype", None)) for name, value in attrs.items()}


def test_a_result_says_where_it_comes_from_and_when_it_was_made(tmp_path: Path):
    found = provenance_of(open_result(save_result(tmp_path, "flip", some(), ASKED)))
    assert found.pop("created").endswith("Z")
    assert found == ASKED
    kept = save_result(tmp_path, "older", some(), {"created": "2026-01-31T12:00:00Z"})
    assert provenance_of(open_result(kept)) == {"created": "2026-01-31T12:00:00Z"}


def test_any_tool_for_hdf5_reads_it(tmp_path: Path):
    with h5py.File(save_result(tmp_path, "flip", some(), ASKED)) as file:
        assert file["x0_moved"][0] == 0.5
        assert file["error"].asstr()[1] == "measure maze: größer"
        assert json.loads(file.attrs["provenance"])["layers"] == [1, 2]


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


@settings(max_examples=40)
@given(st.lists(st.tuples(texts, st.booleans(), st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=5))
def test_all_texts_truth_values_and_numbers_come_back_exactly(tmp_path_factory, rows):
    columns = [[row[n] for row in rows] for n in range(4)]
    types = (np.str_, np.bool_, np.float64, np.int64)
    dataset = xr.Dataset(
        {f"v{n}": ("patch", np.array(column, dtype=types[n])) for n, column in enumerate(columns)}
    )
    found = open_result(save_result(tmp_path_factory.mktemp("store"), "any", dataset, {}))
    for name in dataset:
        assert found[name].dtype.kind == dataset[name].dtype.kind
        np.testing.assert_array_equal(found[name].values, dataset[name].values)


def test_a_table_of_pandas_can_be_a_result(tmp_path: Path):
    table = pd.DataFrame({"site": ["resid", "mlp"], "moved": [0.5, 1.0]}).rename_axis("patch")
    found = open_result(save_result(tmp_path, "table", xr.Dataset.from_dataframe(table), {}))
    assert found.site.values.tolist() == ["resid", "mlp"]
    assert found.site.dtype.kind == "U"


def test_results_are_listed_by_name(tmp_path: Path):
    assert list_results(tmp_path) == []
    for name in ("b", "a.1", "c"):
        save_result(tmp_path, name, some(), {})
    (tmp_path / "results" / "d.nc.1a2b.partial").touch()
    (tmp_path / "results" / "notes.txt").touch()
    assert list_results(tmp_path) == ["a.1", "b", "c"]


def test_a_result_is_replaced_only_if_asked_for(tmp_path: Path):
    path = save_result(tmp_path, "flip", some(), {})
    before = path.read_bytes()
    with pytest.raises(StoreError, match="flip.nc: this exists; replace it with --force"):
        save_result(tmp_path, "flip", some().isel(patch=[0]), {})
    assert path.read_bytes() == before
    save_result(tmp_path, "flip", some().isel(patch=[0]), {}, force=True)
    assert open_result(path).sizes["patch"] == 1


def test_what_fails_leaves_the_old_result_and_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = save_result(tmp_path, "flip", some(), {})
    before = path.read_bytes()

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StoreError, match="flip.nc: cannot be written: No space left on device"):
        save_result(tmp_path, "flip", some(), {}, force=True)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["flip.nc"]


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "ends.", "a b", "ä", "x" * 129])
def test_a_name_that_is_no_file_name_everywhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(StoreError, match="result name .*: use 1 to 128 letters"):
        save_result(tmp_path, name, some(), {})


def test_a_result_that_is_not_there_is_told_with_those_that_are(tmp_path: Path):
    with pytest.raises(StoreError, match="flop.nc: no such result; there is none there"):
        open_result(result_path(tmp_path, "flop"))
    save_result(tmp_path, "flip", some(), {})
    with pytest.raises(StoreError, match="flop.nc: no such result; there are flip"):
        open_result(result_path(tmp_path, "flop"))


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9])
def test_a_damaged_result_is_told_in_one_line(tmp_path: Path, kept: float):
    path = save_result(tmp_path, "flip", some(), {})
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(StoreError, match="flip.nc: damaged, or no result; delete it") as raised:
        open_result(path)
    assert "\n" not in str(raised.value)


def test_another_file_or_version_is_told(tmp_path: Path):
    path = tmp_path / "other.nc"
    some().to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StoreError, match="other.nc: this is no result of cosinterp"):
        open_result(path)
    path = save_result(tmp_path, "flip", some(), {})
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 7
    with pytest.raises(VersionError, match="result of format version 7, this cosinterp reads 1"):
        open_result(path)
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        open_result(tmp_path)


@pytest.mark.parametrize("value", [None, b"bytes", 3])
def test_what_cannot_be_written_is_named(tmp_path: Path, value: object):
    odd = xr.Dataset({"error": ("patch", np.array(["", value], dtype=object))})
    with pytest.raises(TypeError, match="error: holds .*, which is no number, truth value or text"):
        save_result(tmp_path, "flip", odd, {})
    with pytest.raises(ValueError, match="error: holds a text with a NUL character"):
        save_result(tmp_path, "flip", xr.Dataset({"error": ("patch", np.array(["a\0b"]))}), {})
    assert list_results(tmp_path) == []
