"""A page of experiments: their claims with verdicts on top, then each with its settings, figures and words.

Verdicts, numbers and figures are all made of the saved results here, so a page says what the results say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from probes.claims.claim import Measured
from probes.claims.figures import figures
from probes.claims.findings import Findings
from probes.claims.rule import RULE, Verdict, judge
from probes.claims.words import how_text, number_text, verdict_text
from probes.report.facts import flat, value_text
from probes.report.page import environment, is_report
from probes.report.pictures import Picture, inlined, room_for, side_by_side
from probes.results.files import result_path
from probes.results.result import Result
from stores.errors import UserError
from stores.files import replacing

GENERATOR = "cosinterp reproduce"
_ORDER = (Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.NOT_TESTABLE)
_MOST_FIGURES = 6


@dataclass(frozen=True)
class Experiment:
    """What a page is given of an experiment.

    Attributes:
        findings: what it found.
        provenance: of its result; empty if it was not run.
        store: its store's folder; others that it rests on stand beside it.
    """

    findings: Findings
    provenance: dict[str, Any]
    store: Path


@dataclass(frozen=True)
class ClaimRow:
    """A claim as a line of the table; all texts."""

    says: str
    where: str
    is_ours: bool
    quantity: str
    value: str
    interval: str
    n: str
    criterion: str
    verdict: str
    mark: str
    reason: str


@dataclass
class Section:
    """An experiment as it stands on the page."""

    name: str
    anchor: str
    title: str
    about: str
    limits: tuple[str, ...]
    rows: list[ClaimRow]
    counts: list[tuple[str, int]]
    hows: list[str]
    pictures: list[Picture] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)
    made_with: list[tuple[str, str]] = field(default_factory=list)
    rests: list[str] = field(default_factory=list)
    command: str | None = None
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ClaimsReport:
    """A page that was written: its file, its bytes, how many of the paper's claims have which verdict."""

    path: Path
    size: int
    counts: dict[str, int]
    failures: list[str]


def write_claims_report(
    path: Path | str,
    experiments: Sequence[Experiment],
    *,
    heading: str,
    lead: str,
    command: str,
    force: bool = False,
    progress: Callable[[str], object] | None = None,
) -> ClaimsReport:
    """Write the page, which is there whole or not at all.

    Args:
        path: of the page. An older page is replaced.
        experiments: in their order on the page.
        heading, lead: what stands above.
        command: that made all of it.
        force: replace a file that is no such page.
        progress: called with the name of each experiment once its section is made.

    Raises:
        StoreError: something else has the name of the page, or the disk refuses.
    """
    path = Path(path)
    is_replaceable = force or is_report(path, GENERATOR)
    room = room_for(_MOST_FIGURES * max(1, len(experiments)))
    sections = []
    for one in experiments:
        sections.append(section_of(one, room))
        if progress is not None:
            progress(one.findings.experiment)
    measured = [claim for one in experiments for claim in one.findings.claims]
    counts = _counts(measured)
    content = (
        environment()
        .get_template("claims.html")
        .render(
            heading=heading,
            lead=lead,
            sections=sections,
            counts=[(verdict, _MARKS[Verdict(verdict)], number) for verdict, number in counts.items()],
            total=sum(counts.values()),
            ours=len(measured) - sum(counts.values()),
            rule=RULE,
            command=command,
            generator=GENERATOR,
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        )
        .encode()
    )
    with replacing(path, is_replaceable, replaceable=Path.is_file) as draft:
        draft.write_bytes(content)
    failures = [f"{section.name}: {line}" for section in sections for line in section.failures]
    return ClaimsReport(path, len(content), counts, failures)


def section_of(experiment: Experiment, room: int) -> Section:
    """The section of an experiment; ``room``: bytes that each picture may take."""
    findings, told = experiment.findings, experiment.provenance
    asked = told.get("asked") or {}
    made = Section(
        findings.experiment,
        f"experiment-{findings.experiment}",
        findings.title,
        findings.about,
        findings.limits,
        [_row(one) for one in findings.claims],
        [(verdict, number) for verdict, number in _counts(findings.claims).items() if number],
        list(dict.fromkeys(how_text(one.estimate) for one in findings.claims if one.estimate is not None)),
        settings=flat(asked.get("settings") or {}),
        rests=list(asked.get("rests_on") or []),
        command=told.get("command"),
    )
    made.made_with = _made_with(told)
    for name, draw in figures(findings).items():
        made.pictures.append(inlined(name, draw(), room))
    for store, result, figure in findings.shown:
        try:
            drawn = Result.open(result_path(experiment.store.with_name(store), result)).figure(figure)
        except UserError as error:
            made.failures.append(f"figure {figure} of {result}: {error}")
            continue
        made.pictures.append(inlined(f"{result}: {figure}", drawn, room))
    made.pictures = side_by_side(made.pictures)
    return made


_MARKS = {Verdict.REPRODUCED: "yes", Verdict.NOT_REPRODUCED: "no", Verdict.NOT_TESTABLE: "open"}


def _row(measured: Measured) -> ClaimRow:
    claim, one, judged = measured.claim, measured.estimate, judge(measured)
    value = interval = n = ""
    if one is not None:
        value, n = number_text(one.value), f"{one.n:,} of {one.samples:,} samples"
        interval = f"{number_text(one.low)} to {number_text(one.high)}" if one.low == one.low else "none"
    return ClaimRow(
        claim.says,
        claim.where,
        claim.source == "ours",
        f"{claim.quantity} ({claim.unit})",
        value,
        interval,
        n,
        claim.criterion,
        verdict_text(measured),
        _MARKS[judged.verdict],
        judged.reason,
    )


def _counts(claims: Sequence[Measured]) -> dict[str, int]:
    """Of what the paper claims."""
    verdicts = [judge(one).verdict for one in claims if one.claim.source == "paper"]
    return {verdict.value: verdicts.count(verdict) for verdict in _ORDER}


def _made_with(told: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    model = told.get("model")
    if isinstance(model, dict) and model.get("name"):
        lines.append(("model", value_text(model["name"])))
    lines += [(name, value_text(told[name])) for name in ("store", "created") if told.get(name)]
    samples = (told.get("asked") or {}).get("samples") or []
    if samples:
        lines.append(("samples", value_text(samples)))
    return [*lines, *flat(told.get("versions") or {}, "version of ")]
