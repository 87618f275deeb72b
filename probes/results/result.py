"""A result in the hand: its numbers, where they come from, and how it is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probes.figures.drawing import FORMATS, save_figure
from probes.kinds import Kind, is_known, kind_of
from probes.kinds.unknown import unknown
from probes.results.files import open_result, provenance_of, save_result
from stores.errors import StoreError

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


# As xarray says it.
_NO_VARIABLE = re.compile(r"No variable named '(.+?)'")


class Result:
    """What an analysis found.

    Attributes:
        dataset: the labelled numbers.
        provenance: what was asked of which store, with which versions, and the command that repeats it.
        path: its file; None if it was not saved.
    """

    def __init__(
        self, dataset: xarray.Dataset, provenance: Mapping[str, Any], path: Path | None = None
    ) -> None:
        self.dataset = dataset
        self.provenance = dict(provenance)
        self.path = path

    @classmethod
    def open(cls, path: Path | str) -> Result:
        """The result in a file. Raises StoreError as `results.open_result` does."""
        dataset = open_result(path)
        return cls(dataset, provenance_of(dataset), Path(path))

    def save(self, store: Path | str, name: str, *, force: bool = False) -> Result:
        """This result in the ``results`` of a store. Raises StoreError as `results.save_result` does."""
        path = save_result(store, name, self.dataset, self.provenance, force=force)
        return Result.open(path)

    @property
    def name(self) -> str | None:
        """What it is called in its store."""
        return None if self.path is None else self.path.stem

    @property
    def kind(self) -> str:
        """Such as "probe" or "patch"; empty if its provenance names none."""
        return str(self.provenance.get("kind", ""))

    @property
    def title(self) -> str:
        """What its kind is called, such as "Linear probes by step and layer"."""
        return self._kind.title

    @property
    def is_known(self) -> bool:
        """Whether this version knows its kind; else it is shown by its variables alone."""
        return is_known(self.kind)

    def summary(self) -> list[str]:
        """What it says, a sentence a line. Raises StoreError if it lacks what its kind tells of."""
        with self._complete():
            return self._kind.summary(self.dataset)

    def notes(self, said: Sequence[str]) -> list[str]:
        """What was said when it was made, but for what these lines, its summary perhaps, say already."""
        told = "\n".join(said)
        return [str(note) for note in self.provenance.get("notes") or () if str(note) not in told]

    def table(self) -> pandas.DataFrame:
        """Its numbers, a row each. Raises StoreError if it lacks what its kind tells of."""
        with self._complete():
            return self._kind.table(self.dataset)

    def figures(self) -> list[str]:
        """The names of the figures that it can draw, the main one first. Raises StoreError as `table`."""
        return list(self._figures())

    def figure(self, name: str | None = None) -> Figure:
        """One of its figures, the main one by default.

        Raises:
            StoreError: it has no such figure, or lacks what is drawn there.
        """
        makers = self._figures()
        if name is None:
            name = next(iter(makers), None)
        if name is None or name not in makers:
            there = ", ".join(makers) or "none"
            asked = "figure" if name is None else f'figure "{name}"'
            raise StoreError(f"{asked}: {self.name or 'this result'}, of the kind {self.kind}, has {there}")
        with self._complete():
            return makers[name]()

    def plot(self, path: Path | str, figure: str | None = None) -> Path:
        """Draws a figure into a file (.png, .svg or .pdf), as `drawing.save_figure` does.

        Raises:
            StoreError: it has no such figure, the file's name ends in something else, or the disk refuses.
        """
        path = Path(path)
        if path.suffix not in FORMATS:
            raise StoreError(f"{path}: the name has to end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
        return save_figure(self.figure(figure), path)

    def __repr__(self) -> str:
        return f"<Result {self.name or '(not saved)'}, {self.kind or 'of no kind'}>"

    def _figures(self) -> Mapping[str, Callable[[], Figure]]:
        with self._complete():
            return self._kind.figures(self.dataset)

    @contextmanager
    def _complete(self) -> Iterator[None]:
        """Raises StoreError for a variable that a result of this kind has, but not this one."""
        try:
            yield
        except KeyError as error:
            # Other keys that are not there are mistakes of ours, and told as such.
            lacking = _NO_VARIABLE.match(str(error.args[0])) if error.args else None
            if lacking is None or lacking[1] in self.dataset:
                raise
            again = self.provenance.get("command")
            raise StoreError(
                f"{self.path or 'this result'}: has no {lacking[1]}, which results of the kind {self.kind} "
                f"have in this version; make it again{f': {again}' if again else ''}"
            ) from error

    @property
    def _kind(self) -> Kind:
        return kind_of(self.kind) if self.is_known else unknown(self.kind)
