"""Small values in a run's file: attributes, truths, conditions; and what can go into JSON.

An attribute is text, a truth value, an integer or a float wherever it can be. What HDF5 has no plain type for
(None, lists, dictionaries, integers beyond 64 bits) is kept as JSON text, and the attribute ``json`` lists
the names of those that are. As in Python's ``json``, NaN and Infinity may occur in it: scheduler
configurations hold -inf.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import h5py
import numpy as np

_JSON_NAMES = "json"
_TEXT = h5py.string_dtype("utf-8")


def jsonable(value: Any, where: str = "value") -> Any:
    """``value`` made of nothing but dict, list, str, int, float, bool and None, as JSON would give it back.

    Raises:
        TypeError: something in ``value`` has no such form; the message names the place, as in ``where.key``.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return jsonable(value.tolist(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(member, f"{where}.{key}") for key, member in value.items()}
    if isinstance(value, (list, tuple, range, set, frozenset)):
        members = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [jsonable(member, f"{where}[{index}]") for index, member in enumerate(members)]
    raise TypeError(f"{where}: a {type(value).__name__} cannot be stored as JSON")


def write_attrs(attrs: h5py.AttributeManager, values: Mapping[str, Any]) -> None:
    """Adds ``values`` to ``attrs``, replacing those of the same name.

    Raises:
        TypeError: a value can be stored neither as an attribute nor as JSON.
    """
    as_json = set(json.loads(attrs.get(_JSON_NAMES, "[]")))
    for name, value in values.items():
        plain = jsonable(value, name)
        if _is_plain(plain):
            attrs[name] = plain
            as_json.discard(name)
        else:
            attrs[name] = json.dumps(plain)
            as_json.add(name)
    attrs[_JSON_NAMES] = json.dumps(sorted(as_json))


def read_attrs(attrs: h5py.AttributeManager) -> dict[str, Any]:
    """What `write_attrs` wrote, as plain Python values."""
    as_json = set(json.loads(attrs.get(_JSON_NAMES, "[]")))
    found: dict[str, Any] = {}
    for name, value in attrs.items():
        if name in as_json:
            found[name] = json.loads(value)
        elif name != _JSON_NAMES:
            found[name] = value.item() if isinstance(value, np.generic) else value
    return found


def is_value_name(name: str) -> bool:
    """Whether ``name`` can name a value in a run's file, as a truth's name does."""
    return name not in ("", ".") and "/" not in name


def write_value(group: h5py.Group, name: str, value: Any) -> None:
    """Writes text, a number, a truth value, or an array (or nested list) of these as the dataset ``name``.

    Raises:
        ValueError: ``name`` cannot name a dataset.
        TypeError: ``value`` is of no such kind.
    """
    if not is_value_name(name):
        raise ValueError(f"{name!r} cannot name a value in a run's file")
    array = np.asarray(value)
    if array.dtype.kind == "U":
        group.create_dataset(name, data=array.astype(object), dtype=_TEXT)
    elif array.dtype.kind in "biuf":
        group.create_dataset(name, data=array.astype(array.dtype.newbyteorder("<"), copy=False))
    else:
        raise TypeError(f"{name}: a {type(value).__name__} is no text, number or array of these")


def read_value(dataset: h5py.Dataset) -> Any:
    """What `write_value` wrote: str, int, float or bool for a single value, else a numpy array."""
    value = dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.astype(np.str_)
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        # HDF5 ends a text of variable length at its first NUL.
        return "\0" not in value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float)
