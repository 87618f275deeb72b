"""``cosinterp verify``: prove that a model is understood."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli.settings import merged, parse_settings

if TYPE_CHECKING:
    from cosinterp.verification import Check


def verify(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help=options.MODEL_HELP, autocompletion=options.one_of(*options.BUNDLED)
        ),
    ],
    num_steps: Annotated[int | None, typer.Option(help="Denoising steps.", min=2, show_default="4")] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    more: options.Settings = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    offload: options.Offload = None,
    quantize: options.Quantize = None,
    lora: options.Lora = None,
    revision: options.Revision = None,
    local_files_only: options.LocalFilesOnly = False,
    pipeline: options.Pipeline = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that a model is understood.

    Generates short, small videos, plain and traced, with guidance and without, one and two in a batch, and
    compares. Ends with exit code 1 if a check fails: then its traces are not to be trusted.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.verification import verify as run_checks

    flags = {} if num_steps is None else {"num_steps": num_steps}
    sampling = merged(flags, parse_settings(more))

    loaded = options.load_model(
        model,
        device=device,
        dtype=dtype,
        offload=offload,
        quantize=quantize,
        lora=lora,
        revision=revision,
        local_files_only=local_files_only,
        pipeline=pipeline,
    )

    def show(check: Check) -> None:
        if not as_json:
            out().print(_line(check), markup=False, soft_wrap=True)

    checks = run_checks(loaded, seed=seed, on_check=show, **sampling)
    if as_json:
        print_json({"model": loaded.name, "passed": all(c.passed for c in checks), "checks": _data(checks)})
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def _line(check: Check) -> str:
    verdict = "FAIL" if not check.passed else "ok  " if check.compared else "--  "
    measured = (
        "" if check.worst is None else f": worst difference {check.worst:.3g}, allowed {check.allowed:.3g}"
    )
    detail = f" ({check.detail})" if check.detail else ""
    return f"{verdict} {check.name}: {check.compares}{measured}{detail}"


def _data(checks: list[Check]) -> list[dict[str, Any]]:
    """The checks as JSON takes them: it has no NaN and no infinity."""
    rows = [asdict(check) for check in checks]
    for row in rows:
        if row["worst"] is not None and not math.isfinite(row["worst"]):
            row["worst"] = str(row["worst"])
    return rows
