"""The scores that a store keeps in its results, found for an analysis that asks about answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from probes.results.files import list_results, result_path
from probes.results.result import Result
from probes.scores import KIND, ScoreTable
from stores import SelectionError
from stores.layout import BASE

if TYPE_CHECKING:
    from stores import Store


def kept_scores(
    store: Store, variant: str = BASE, *, name: str | None = None, task: str | None = None
) -> tuple[str, ScoreTable] | None:
    """The scores of a variant and what they are called; None where there are none.

    Args:
        store: in whose results they are.
        variant: of the runs that were scored.
        name: of the result; None is the only one that there is.
        task: of the scores; None is any.

    Raises:
        SelectionError: the result is of something else, or several could be meant.
        StoreError: there is no result of this name.
    """
    if name is not None:
        result = Result.open(result_path(store.path, name))
        if result.kind != KIND:
            raise SelectionError(f"scores {name}: this is a result of the kind {result.kind}, not of scores")
        table = ScoreTable.from_dataset(result.dataset)
        if table.variant != variant:
            raise SelectionError(f"scores {name}: of variant {table.variant}, not {variant}")
        return name, table
    found = {
        one: table
        for one, table in _all_scores(store)
        if table.variant == variant and task in (None, table.task)
    }
    if len(found) > 1:
        raise SelectionError(f"{store.path} has the scores {', '.join(found)}; say which with --scores NAME")
    return next(iter(found.items()), None)


def _all_scores(store: Store) -> Iterator[tuple[str, ScoreTable]]:
    for name in list_results(store.path):
        # Other results may be large, and are called otherwise.
        if name.startswith(KIND):
            result = Result.open(result_path(store.path, name))
            if result.kind == KIND:
                yield name, ScoreTable.from_dataset(result.dataset)
