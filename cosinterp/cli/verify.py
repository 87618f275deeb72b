"""``cosinterp verify``: prove that a model is understood."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cosinterp.verification import Check


def verify(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="maze-wan, a diffusers folder, or a hub id.")],
    num_steps: Annotated[int | None, typer.Option(help="Denoising steps.", min=2, show_default="4")] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N.", show_default="a GPU if there is one")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="bf16, fp16 or fp32.", show_default="bf16 on a GPU, else fp32")
    ] = None,
    offload: Annotated[str | None, typer.Option(help="model or sequential.", show_default=False)] = None,
    lora: Annotated[list[str] | None, typer.Option(help="A LoRA file.", show_default=False)] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub id.", show_default=False)] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Load as this diffusers class.", show_default="the folder's")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that a model is understood.

    Generates one short, small video several times, plain and traced, and compares. Ends with exit code 1 if
    a check fails: then its traces are not to be trusted.
    """
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.models.loading import load
    from cosinterp.verification import verify as run_checks

    with err().status(f"loading {model}"):
        loaded = load(
            model,
            device=device,
            dtype=dtype,
            offload=offload,
            lora=lora or None,
            revision=revision,
            pipeline=pipeline,
        )

    def show(check: Check) -> None:
        if not as_json:
            out().print(_line(check), markup=False, soft_wrap=True)

    sampling: dict[str, Any] = {} if num_steps is None else {"num_steps": num_steps}
    checks = run_checks(loaded, seed=seed, on_check=show, **sampling)
    if as_json:
        print_json({"model": loaded.name, "passed": all(c.passed for c in checks), "checks": _data(checks)})
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def _line(check: Check) -> str:
    verdict = "ok  " if check.passed else "FAIL"
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
