"""What can be chosen, as far as it has to be looked for. May block: called in a thread only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """Something with a name.

    Attributes:
        kind: "form", "store" or "result".
        name: of the command, of the store as seen from where the search began, or of the result.
        about: what the command does; of a result, the name of its store.
        store: of a store or a result.
    """

    kind: str
    name: str
    about: str = ""
    store: Path | None = None


def find(root: Path) -> Iterator[list[Found]]:
    """The commands that have forms, then each store at ``root`` or below it, with its results."""
    from tui.launch.reading import all_commands

    yield [Found("form", command, about) for command, about in all_commands()]
    from probes.results.files import list_results
    from tui.browser.reading import Problem, find_stores

    for store in find_stores(root):
        if not isinstance(store, Problem):
            name = store.name if store == root else store.relative_to(root).as_posix()
            results = [Found("result", result, name, store) for result in list_results(store)]
            yield [Found("store", name, "", store), *results]
