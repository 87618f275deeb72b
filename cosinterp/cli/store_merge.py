"""``cosinterp store merge``: several stores into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli.store_options import AsJson

_LEFT = ("results", "media")


def merge(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The store that gains the runs, or a new one.", show_default=False
        ),
    ],
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE", help="The stores they come from.", show_default=False)
    ],
    link: Annotated[
        bool, typer.Option("--link", help="Give files a second name where that is possible; takes no space.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be brought, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the runs of several stores into one.

    The stores need the same settings. A run that several hold is taken once; if it differs between them in
    more than when it was made, that is an error, and nothing is copied. The stores stay as they are, and
    their results and media stay with them.

    All that is brought is read and checked before anything is copied; of a run that is damaged in one store
    the copy of another one is taken.

    A merge that was interrupted goes on where it was when it is given again.
    """
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.cli.counting import counting
    from stores import open_store
    from stores.tools.merge import Merged, bring_runs, plan_merge
    from stores.units import count_text, size_text

    sources = [open_store(path) for path in stores]
    with counting("checking", sizes=True) as count:
        plan = plan_merge(target, sources, link=link, progress=count.reach)
    merged = Merged((), ())
    if not dry_run:
        with counting("copying" if plan.copied_bytes else "linking", plan.size, sizes=True) as count:
            merged = bring_runs(plan, count.reach)
    if as_json:
        print_json(
            {
                "path": str(target),
                "dry_run": dry_run,
                "transfers": [
                    {"source": str(each.source), "file": each.entry.file, "bytes": each.entry.size}
                    for each in plan.transfers
                ],
                "present": len(plan.present),
                "damaged": list(plan.damaged),
                "bytes": plan.size,
                "copied_bytes": plan.copied_bytes,
                "copied": len(merged.copied),
                "linked": len(merged.linked),
            }
        )
        return
    for line in plan.damaged:
        err().print(f"another copy was taken: {line}", markup=False, soft_wrap=True)
    there = f"; {len(plan.present)} there already" if plan.present else ""
    what = f"{count_text(len(plan.transfers), 'run')}, {size_text(plan.size)}"
    if not plan.transfers:
        text = f"{target}: nothing to bring{there}"
    elif dry_run:
        space = f" ({size_text(plan.copied_bytes)} to copy)" if link else ""
        text = f"would bring {what}{space} into {target}{there}"
    else:
        linked = f", {len(merged.linked)} of them linked" if merged.linked else ""
        text = f"{target}: gained {what}{linked}{there}"
    out().print(text, markup=False, soft_wrap=True)
    for path in (store / name for store in stores for name in _LEFT if store.resolve() != target.resolve()):
        if path.is_dir() and any(path.iterdir()):
            err().print(f"not merged: {path}", markup=False, soft_wrap=True)
