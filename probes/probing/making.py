"""Results of probing: a study carried out, with where its numbers come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from probes.probing.assembling import assemble
from probes.probing.grid import Progress
from probes.probing.study import Asked, Study
from probes.probing.transferring import TransferStudy
from probes.results.provenance import provenance
from probes.results.result import Result

if TYPE_CHECKING:
    import xarray

PROBE, TRANSFER = "probe", "transfer"


def probe_result(study: Study, *, command: str | None = None, progress: Progress | None = None) -> Result:
    """A result of the kind "probe": every cell of a study, tested, with its baselines.

    Args:
        study: what is computed.
        command: the command line that makes it again.
        progress: told of each cell.

    Raises:
        SelectionError, StoreError: as `Study.run`.
    """
    dataset = assemble(study, study.run(progress))
    return _result(PROBE, study, dataset, {}, command)


def transfer_result(
    study: TransferStudy, *, command: str | None = None, progress: Progress | None = None
) -> Result:
    """A result of the kind "transfer": probes of some cells at all cells.

    Raises:
        SelectionError, StoreError: as `TransferStudy.run`.
    """
    fitted_at = {"transfer_steps": list(study.steps), "transfer_layers": list(study.layers)}
    return _result(TRANSFER, study.study, study.run(progress), fitted_at, command)


def default_name(kind: str, asked: Asked) -> str:
    """What a result is called if it is not said: after its target, and after what is not as usual.

    >>> default_name("probe", Asked("truth:path_order>0", among="wall==no"))
    'probe-truth-path_order-gt-0-among-wall-eq-no'
    """
    parts = [kind, asked.target]
    if asked.site != "resid":
        parts.append(asked.site)
    if asked.among is not None:
        parts += ["among", asked.among]
    text = "-".join(parts)
    for operator, word in ((">=", "ge"), ("<=", "le"), ("==", "eq"), ("!=", "ne"), (">", "gt"), ("<", "lt")):
        text = text.replace(operator, f"-{word}-")
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:120]


def _result(
    kind: str, study: Study, dataset: xarray.Dataset, more: Mapping[str, object], command: str | None
) -> Result:
    notes = str(dataset.attrs["notes"]).splitlines()
    asked = {**study.asked.as_dict(), **more}
    store = study.features.store
    return Result(dataset, provenance(kind, store, asked, command=command, notes=notes))
