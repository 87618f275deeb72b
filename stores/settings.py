"""What all runs of a store share, and its file ``store.json``."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stores import layout
from stores.errors import StoreError
from stores.flat import differences
from stores.values import jsonable

_PARTS = ("model", "capture", "sampling")


@dataclass(frozen=True)
class StoreSettings:
    """What all runs of a store share: the model, what is captured, and how it samples.

    Each part is a dictionary that JSON can hold; tuples, ranges and numpy values are turned into what JSON
    gives back, so that settings read from a file equal those that were written.

    Attributes:
        model: ``name``, ``revision``, ``family``, ``num_layers`` and what else tells the model.
        capture: ``sites``, ``layers``, ``site_layers`` (of sites that not all blocks have), ``steps``,
            ``branches``, ``dtype`` (of `dtypes.DTYPES`), ``reductions`` (site to texts; a site that is not
            named is kept in full), ``reduction_seed``, ``compression`` ("none", "lz4" or "zstd"), ``video``.
        sampling: ``num_steps``, ``guidance_scale``, ``height``, ``width``, ``num_frames``, ``scheduler`` and
            so on; None stands for "taken from each sample".

    Raises:
        TypeError: a part holds something that JSON cannot.
    """

    model: dict[str, Any] = field(default_factory=dict)
    capture: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)

    # Dictionaries cannot be hashed, and a hash that ignored them would mislead.
    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for part in _PARTS:
            object.__setattr__(self, part, jsonable(getattr(self, part), part))

    def differences(self, other: StoreSettings) -> list[str]:
        """How ``other`` (what is asked for) differs from these settings (what is here).

        One line for each dotted key that differs: ``capture.layers: 0-8 here, 0-4 asked``. Empty if equal.
        """
        parts = [{part: getattr(settings, part) for part in _PARTS} for settings in (self, other)]
        return [f"{key}: {here} here, {asked} asked" for key, here, asked in differences(*parts)]

    def to_json(self) -> dict[str, Any]:
        """The contents of ``store.json``."""
        header = {"format": layout.STORE_FORMAT, "version": layout.VERSION}
        return header | {part: getattr(self, part) for part in _PARTS}


def read_settings(store: Path) -> StoreSettings:
    """The settings of the store in the folder ``store``.

    Raises:
        StoreError: there is no store, it cannot be read, or it is of another format version.
    """
    path = store / layout.STORE_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StoreError(_why_no_store(store)) from None
    except NotADirectoryError:
        raise StoreError(f"{store}: this is a file; a store is a folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {_reason(error)}") from None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise StoreError(f"{path}: damaged, it is no JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != layout.STORE_FORMAT:
        raise StoreError(f"{path}: not the {layout.STORE_FILE} of an activation store")
    layout.check_version(content.get("version"), "store", path)
    parts = [content[part] for part in _PARTS if isinstance(content.get(part), dict)]
    if len(parts) != len(_PARTS):
        raise StoreError(f"{path}: damaged, it must hold the dictionaries {', '.join(_PARTS)}")
    return StoreSettings(*parts)


def write_settings(store: Path, settings: StoreSettings) -> bool:
    """Writes ``store.json``, whole or not at all; False if another process was there first.

    Raises:
        OSError: the file cannot be written.
    """
    path = store / layout.STORE_FILE
    draft = store / f".{layout.STORE_FILE}.{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with draft.open("x", encoding="utf-8") as file:
            json.dump(settings.to_json(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links (exFAT, some network ones): replacing is still all or nothing.
            if path.exists():
                return False
            os.replace(draft, path)
        return True
    finally:
        draft.unlink(missing_ok=True)


def _why_no_store(store: Path) -> str:
    if not store.exists():
        return f"{store}: no such store"
    return f"{store}: not an activation store, it holds no {layout.STORE_FILE}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
