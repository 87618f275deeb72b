"""Datasets of any layout: which reader, and which of the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from cosinterp.errors import SampleError
from cosinterp.samples.folders import PROMPT_FILE, find_in_folder
from cosinterp.samples.found import Found
from cosinterp.samples.sample import Sample
from cosinterp.samples.tables import TABLES, find_in_table

_SHOWN = 4


def load_dataset(
    path: Path | str, *, only: str | Iterable[str] | None = None, limit: int | None = None
) -> list[Sample]:
    """The samples of a dataset, in the order of their paths or lines.

    Images are checked, so that a broken one is an error now and not hours later, but not kept: a `Sample`
    decodes its image each time that it is asked for it. Samples that are not chosen are not read.

    Args:
        path: a folder in the layout of VBVR-Bench (`cosinterp.samples.folders`), or a ``.jsonl`` or ``.csv``
            (`cosinterp.samples.tables`).
        only: take the samples whose names match this pattern, or one of several: ``*`` is any text, ``?`` any
            character.
        limit: take the first so many of them.

    Raises:
        SampleError: there is no such dataset, no sample in it, none that a pattern matches (whatever the
            limit), two of one name, a limit below 1, or a sample that cannot be read; names the file, and
            the line of a table.
    """
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise SampleError(f"the limit has to be a whole number above 0, not {limit!r}")
    chosen = list(_matching(Path(path), only, limit))
    places: dict[str, str] = {}
    for found in chosen:
        if found.name in places:
            raise SampleError(
                f"{found.where} and {places[found.name]} would both be called {found.name}; rename one"
            )
        places[found.name] = found.where
    return [found.read() for found in chosen]


def sample_names(path: Path | str) -> Iterator[str]:
    """The names of a dataset's samples, as they are found; nothing else of them is read.

    Raises:
        SampleError: as `load_dataset`.
    """
    return (found.name for found in _find(Path(path)))


def _matching(path: Path, only: str | Iterable[str] | None, limit: int | None) -> Iterator[Found]:
    if only is None:
        yield from islice(_find(path), limit)
        return
    patterns = [only] if isinstance(only, str) else list(only)
    unmatched, seen, taken = set(patterns), [], 0
    for found in _find(path):
        matching = [pattern for pattern in patterns if fnmatchcase(found.name, pattern)]
        unmatched -= set(matching)
        if matching and taken != limit:
            taken += 1
            yield found
        if len(seen) <= _SHOWN:
            seen.append(found.name)
        # A pattern is wrong only if nothing at all matches it, so the search goes on behind the limit.
        if taken == limit and not unmatched:
            return
    if unmatched:
        more = ", ..." if len(seen) > _SHOWN else ""
        raise SampleError(
            f'{path}: no sample is called "{min(unmatched)}"; there are {", ".join(seen[:_SHOWN])}{more}'
        )


def _find(path: Path) -> Iterator[Found]:
    if path.is_dir():
        finding, missing = find_in_folder(path), f"a sample is a folder with {PROMPT_FILE} in it"
    elif not path.exists():
        raise SampleError(f"{path}: no such dataset")
    elif path.suffix.lower() in TABLES:
        finding, missing = find_in_table(path), "a sample is a line"
    else:
        raise SampleError(f"{path}: is no dataset; one is a folder, or a file {' or '.join(TABLES)}")
    first = next(finding, None)
    if first is None:
        raise SampleError(f"{path}: no samples here; {missing}")
    yield first
    yield from finding
