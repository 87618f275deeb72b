"""All rows: those of every module of this package that has ``ROWS``."""

from __future__ import annotations

import importlib
import pkgutil

import tests.families
from tests.families.row import FamilyRow

_SHARED = ("conftest", "hooked", "one_call", "page", "row", "rows")

ROWS: list[FamilyRow] = [
    row
    for found in pkgutil.iter_modules(tests.families.__path__)
    if found.name not in _SHARED and not found.name.startswith("test_")
    for row in importlib.import_module(f"tests.families.{found.name}").ROWS
]
