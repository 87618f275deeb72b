"""What the shell completes ``--sites`` and ``--branches`` of ``cosinterp trace`` with."""

from __future__ import annotations

from itertools import chain

from cosinterp.cli.run_flags import BRANCHES, SITES
from cosinterp.models.blocks import RAW
from tests.families.rows import ROWS


def test_the_sites_of_all_families_are_offered() -> None:
    hooked = set(chain.from_iterable(row.hooks for row in ROWS))
    assert set(SITES) == {"all", *hooked, *(site.removesuffix(RAW) for site in hooked)}


def test_the_branches_of_all_families_are_offered() -> None:
    assert set(BRANCHES) == {branch for row in ROWS for call in row.calls for branch in call}
