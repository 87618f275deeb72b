"""What ``reduce`` asks for, resolved to the reductions of each site.

A text such as ``project:64`` is meant for every site, ``resid=project:64`` for one. A site that is named
takes only what is asked for it by name: ``mean``, ``resid=full`` and ``resid=norm`` together keep everything
of ``resid``, its norms, and the mean of all other sites. What nothing is asked for is kept in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cosinterp.errors import SelectionError
from stores.reduction import FULL, check_reductions

Reduce: TypeAlias = str | Sequence[str] | Mapping[str, str | Sequence[str]] | None

_EVERY = ""


def parse_reduce(reduce: Reduce) -> dict[str, tuple[str, ...]]:
    """The canonical reductions by site, those meant for every site under ``""``.

    >>> parse_reduce(["project:64", "resid=norm"])
    {'': ('project:64',), 'resid': ('norm',)}

    Raises:
        SelectionError: a text that is no reduction, or one that comes twice.
    """
    asked: dict[str, list[str]] = {}
    if isinstance(reduce, Mapping):
        for site, texts in reduce.items():
            asked[site] = [texts] if isinstance(texts, str) else list(texts)
    else:
        for text in [reduce] if isinstance(reduce, str) else reduce or ():
            site, equals, reduction = text.rpartition("=")
            if equals and not site.strip():
                raise SelectionError(f'reduce "{text}": name a site before "=", or leave it out')
            asked.setdefault(site.strip(), []).append(reduction)
    return {site: _checked(site, texts) for site, texts in asked.items()}


def resolve_reduce(reduce: Reduce, sites: Sequence[str], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The reductions of each of the captured ``sites``; ``known`` are all sites that the model has.

    Raises:
        SelectionError: as `parse_reduce`, or a site is named that is not captured.
    """
    asked = parse_reduce(reduce)
    for site in asked:
        if site == _EVERY or site in sites:
            continue
        if site in known:
            raise SelectionError(f"reduce: {site} is not captured; add it to the sites {','.join(sites)}")
        raise SelectionError(f'reduce: unknown site "{site}"; this trace captures {", ".join(sites)}')
    every = asked.get(_EVERY, (FULL,))
    if _EVERY in asked and all(site in asked for site in sites):
        raise SelectionError(
            f"reduce: {every[0]} is meant for the sites that are not named, but {', '.join(sites)} "
            f"{'is' if len(sites) == 1 else 'are all'} named; write {sites[0]}={every[0]} to keep it as well"
        )
    return {site: asked.get(site, every) for site in sites}


def _checked(site: str, texts: Sequence[str]) -> tuple[str, ...]:
    where = f"reduce: site {site}" if site != _EVERY else "reduce"
    if not texts:
        raise SelectionError(f"{where}: nothing is asked for; use full to keep everything")
    try:
        return check_reductions(texts)
    except SelectionError as error:
        raise SelectionError(f"{where}: {error}") from None
