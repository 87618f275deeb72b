"""Places of the token grid: what a group of tokens is put together from.

A place is known before any run is: `places.mask(scene)` says which tokens it is in a certain one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SelectionError
from stores import selection

Mask: TypeAlias = NDArray[np.bool_]
Grid: TypeAlias = tuple[int, int, int]
"""How many frames, rows and columns a token grid has."""
Owner: TypeAlias = Literal["donor", "recipient"]

_LIGHT = 128
"""From this grey of 0 to 255 on, a pixel of a mask belongs to it."""
_PLAIN_NAME = re.compile(r'[^\s()&+|"]+')


@dataclass(frozen=True, eq=False)
class Scene:
    """What places are looked up in.

    Attributes:
        grid: the token grid, (frame, row, col).
        truths: what is known of the samples of the donor and of the recipient.
    """

    grid: Grid
    truths: Mapping[Owner, Mapping[str, Any]]

    def everywhere(self, where: Mask) -> Mask:
        """A mask (row, col) or (frame, row, col) over all frames of the grid."""
        return np.broadcast_to(where, self.grid)

    def truth(self, owner: Owner, names: tuple[str, ...], place: object) -> list[NDArray[Any]]:
        """The truths of these names as arrays.

        Raises:
            SelectionError: the owner's truth lacks one; names what it has.
        """
        known = self.truths[owner]
        for name in names:
            if name not in known:
                has = f"it has {', '.join(sorted(map(str, known)))}" if known else "there is none at all"
                raise SelectionError(f'tokens "{place}": the {owner}\'s truth has no {name}; {has}')
        return [np.asarray(known[name]) for name in names]


@dataclass(frozen=True)
class Everything:
    """All tokens: ``all``."""

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col), True all over."""
        return np.ones(scene.grid, dtype=bool)

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True)
class Frames:
    """All tokens of some frames of the latent video: ``frames:0-2``."""

    frames: str

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col). Raises SelectionError: the grid has no such frames."""
        found = np.zeros(scene.grid, dtype=bool)
        found[list(_numbers(self.frames, scene.grid[0], "frames"))] = True
        return found

    def __str__(self) -> str:
        return f"frames:{self.frames}"


@dataclass(frozen=True)
class Box:
    """Some rows and columns, in all frames: ``box:2-5,3-8``, both ends included."""

    rows: str
    cols: str

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col). Raises SelectionError: the grid has no such rows or columns."""
        _, height, width = scene.grid
        rows, cols = _numbers(self.rows, height, "rows"), _numbers(self.cols, width, "cols")
        found = np.zeros((height, width), dtype=bool)
        found[np.ix_(rows, cols)] = True
        return scene.everywhere(found)

    def __str__(self) -> str:
        return f"box:{self.rows},{self.cols}"


@dataclass(frozen=True)
class MaskFile:
    """What a file marks: ``mask:FILE``.

    A ``.npy`` file holds (row, col) or (frame, row, col) of the token grid; a token is in where it is not
    zero. Any other file is an image, of which the light half of all greys is in; it is laid over the rows and
    columns of the grid, whatever its size, and a token is in if at least half of its area is.
    """

    file: str

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col). Raises UserError: the file cannot be read, or does not fit."""
        path = Path(self.file).expanduser()
        if path.suffix == ".npy":
            return scene.everywhere(_fitting(_read_array(path), scene.grid, f"{path}"))
        from cosinterp.samples.images import read_image

        light = np.asarray(read_image(path).convert("L")) >= _LIGHT
        return scene.everywhere(_half_covered(light, scene.grid[1:]))

    def __str__(self) -> str:
        return f"mask:{_quoted(self.file)}"


@dataclass(frozen=True)
class TruthPlace:
    """Where a truth array of a sample is not zero: ``truth:NAME``, ``donor:truth:NAME``."""

    name: str
    owner: Owner = "recipient"

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col). Raises SelectionError: there is no such truth, or it does not fit."""
        [array] = scene.truth(self.owner, (self.name,), self)
        return scene.everywhere(_fitting(array, scene.grid, f'truth "{self.name}" of the {self.owner}'))

    def __str__(self) -> str:
        return f"{_prefix(self.owner)}truth:{_quoted(self.name)}"


@dataclass(frozen=True)
class MazePlace:
    """A place of a maze by its name, one of `MAZE_PLACES`: ``path``, ``donor:path``."""

    name: str
    owner: Owner = "recipient"

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col). Raises SelectionError: it is no maze, or not of the grid's size."""
        keys, of = _MAZE[self.name]
        arrays = scene.truth(self.owner, ("walls", *keys), self)
        where = f'the maze of the {self.owner} (tokens "{self}")'
        walls = _fitting(arrays[0], scene.grid, where)
        return scene.everywhere(of(walls, *(_cells(array, scene.grid, where) for array in arrays[1:])))

    def __str__(self) -> str:
        return f"{_prefix(self.owner)}{self.name}"


Place: TypeAlias = Everything | Frames | Box | MaskFile | TruthPlace | MazePlace

_MAZE: dict[str, tuple[tuple[str, ...], Callable[..., Mask]]] = {
    "path": (("path_order",), lambda walls, path: path),
    "walls": ((), lambda walls: walls),
    "floor": (
        ("start", "red_goal", "blue_goal"),
        lambda walls, start, red, blue: ~(walls | start | red | blue),
    ),
    "start": (("start",), lambda walls, start: start),
    "goals": (("red_goal", "blue_goal"), lambda walls, red, blue: red | blue),
    "red_goal": (("red_goal",), lambda walls, red: red),
    "blue_goal": (("blue_goal",), lambda walls, blue: blue),
}

MAZE_PLACES = tuple(_MAZE)
"""Places of a maze. `path` are the cells between the start and the named goal; `floor` is all that is neither
wall nor start nor goal, those of the path included."""


def _numbers(text: str, length: int, what: str) -> tuple[int, ...]:
    return selection.parse(text, range(length), what, "this token grid")


def _prefix(owner: Owner) -> str:
    return "" if owner == "recipient" else f"{owner}:"


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else f'"{name}"'


def _fitting(array: NDArray[Any], grid: Grid, what: str) -> Mask:
    """Where ``array`` is neither zero nor NaN."""
    if array.dtype.kind not in "biuf":
        raise SelectionError(f"{what}: holds no numbers, so it marks no tokens")
    if array.shape not in (grid, grid[1:]):
        full, flat = _shape(grid), _shape(grid[1:])
        shape = f"the shape {_shape(array.shape)}" if array.ndim else "a single value"
        raise SelectionError(
            f"{what}: has {shape}; tokens are marked by {flat} (row, col) or {full} (frame, row, col)"
        )
    return np.nan_to_num(array) != 0


def _cells(array: NDArray[Any], grid: Grid, what: str) -> Mask:
    """A truth of a maze that is an array on the grid, or one (row, col) of it."""
    if array.shape != (2,):
        return _fitting(array, grid, what)
    _, height, width = grid
    row, col = (int(number) for number in array)
    if not (0 <= row < height and 0 <= col < width):
        raise SelectionError(f"{what}: {(row, col)} is outside the token grid {_shape(grid)}")
    marked = np.zeros((height, width), dtype=bool)
    marked[row, col] = True
    return marked


def _read_array(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise SelectionError(f"{path}: no such mask") from error
    except (OSError, ValueError, EOFError) as error:
        raise SelectionError(f"{path}: cannot be read as an array of numbers (.npy)") from error


def _half_covered(marked: Mask, shape: tuple[int, ...]) -> Mask:
    """Which cells of a grid laid over a picture are marked on at least half of their area, (row, col)."""
    rows, cols = (_overlaps(cells, pixels) for cells, pixels in zip(shape, marked.shape, strict=True))
    return 2 * (rows @ marked.astype(np.int64) @ cols.T) >= marked.size


def _overlaps(cells: int, pixels: int) -> NDArray[np.int64]:
    """How much of each pixel lies in each cell of one axis (cell, pixel), in parts of 1 / (cells * pixels).

    In whole numbers, so that exactly half is half.
    """
    cell, pixel = np.arange(cells)[:, None] * pixels, np.arange(pixels)[None] * cells
    return np.clip(np.minimum(cell + pixels, pixel + cells) - np.maximum(cell, pixel), 0, None)


def _shape(lengths: tuple[int, ...]) -> str:
    return "x".join(map(str, lengths))
