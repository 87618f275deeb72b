"""What a trace would make, as it is printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cosinterp.cli.trace_plan import DiskTime, Outlook, print_plan
from cosinterp.cli.trace_progress import RichProgress
from cosinterp.planning.plan import TracePlan
from tests.unit.planning.making import SMALL, WAN_14B, plan_of

MB = 10**6


def outlook_of(plan: TracePlan, speed: float | None = 1400 * MB, threads: int = 4) -> Outlook:
    todo = plan.runs()
    disk = DiskTime(plan.bytes_of(todo), threads, speed)
    return Outlook(plan, todo, Path("runs/x"), Path("/data"), 2 * 10**12, disk)


def printed(plan: TracePlan, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_plan(outlook_of(plan))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_trace_of_a_large_model_reads_well_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    site = "self_attn.raw"
    plan = plan_of(
        *[WAN_14B] * 2, seeds=range(8), sites=("resid", site), reductions={site: ("frames+project:64",)}
    )
    assert printed(plan, capsys) == [
        "store       runs/x",
        "runs        16 to make, 0 there already: 2 samples, seeds 0-7",
        "layers      resid 0-40, self_attn.raw 1-40",
        "steps       0-19 of 20",
        "branches    cond, uncond",
        "stored as   bf16, uncompressed",
        "token grid  21x30x52 (frame, row, col), 5120 channels",
        "",
        "                                  a slab  slabs    a run  all runs",
        " ─────────────────────────────────────────────────────────────────",
        " resid                            335 MB   1640   550 GB    8.8 TB",
        " self_attn.raw@frames+project:64  2.7 kB   1600   4.5 MB   72.3 MB",
        " latents                                          352 MB    5.6 GB",
        " video                                           97.1 MB    1.6 GB",
        " other                                            2.7 MB   42.8 MB",
        " in all                                           551 GB    8.8 TB",
        "",
        "needs       8.8 TB; 2.0 TB are free",
        "writing     1.7 h at 1.4 GB/s (4 threads, measured)",
    ]


def test_samples_of_several_sizes_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(SMALL, replace(SMALL, grid=(3, 8, 8)), SMALL)
    lines = printed(plan, capsys)
    assert "token grid  3x4x4 (frame, row, col), 24 channels; 2 samples" in lines
    assert "token grid  3x8x8 (frame, row, col), 24 channels; 1 sample" in lines
    (head,) = [line for line in lines if "a slab" in line]
    assert "largest run" in head
    outlook = outlook_of(plan)
    assert sum(outlook.parts.values()) == outlook.needed == plan.bytes_of(plan.runs())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.04, "under 0.1 s"), (9.9, "9.9 s"), (12, "12 s"), (89, "89 s"), (90, "1.5 min")),
        *((1200, "20 min"), (5399, "90 min"), (5400, "1.5 h"), (360_000, "100 h")),
    ],
)
def test_times_on_the_disk_are_rounded_for_people(seconds: float, text: str) -> None:
    assert str(DiskTime(10**9, 1, 10**9 / seconds)).startswith(f"{text} at ")


def test_little_is_not_measured_and_too_much_neither(tmp_path: Path) -> None:
    assert DiskTime.measured(tmp_path, 64 * MB - 1, 10**12, 1).speed is None
    assert "--no-measure" in str(DiskTime.measured(tmp_path, 64 * MB, 10**12, 1, measure=False))
    too_much = DiskTime.measured(tmp_path, 10**12, 10**12 - 1, 1)
    assert (too_much.seconds, str(too_much)) == (None, "not measured: it does not fit")


def test_a_run_that_was_removed_meanwhile_stops_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = RichProgress(tmp_path)
    progress.finished("maze-3", 7)
    assert (progress.made, progress.written) == (1, 0)
    assert capsys.readouterr().err == "1/0 maze-3 seed 7\n"
