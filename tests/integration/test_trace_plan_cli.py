"""``cosinterp trace --dry-run``, and traces that do not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app, trace_plan
from cosinterp.cli.options import one_of
from stores import open_store

SIZE = ["--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "6"]
Run = Callable[..., Result]


@pytest.fixture
def run(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Run:
    """Runs a trace of the tiny model into ``store``, with more flags."""
    flags = ["trace", "--model", tiny_folder("wan2.1-t2v"), "--prompt", "go", "--name", "a", *SIZE]
    flags += ["--store", tmp_path / "store"]
    return lambda *more: CliRunner().invoke(app, [str(word) for word in (*flags, *more)])


def data(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_plan_is_a_table_of_what_is_kept(run: Run, tmp_path: Path) -> None:
    result = run(
        *("--seeds", "0-2", "--sites", "resid,mlp", "--reduce", "project:8"),
        *("--reduce", "resid=full", "--reduce", "resid=norm", "--store-dtype", "bf16", "--dry-run"),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    # The store's line is as long as its path.
    assert max(len(line) for line in lines if not line.startswith("store ")) <= 80
    table = [line.split() for line in lines if re.match(r" ?(resid|mlp|latents|video|other|in all)", line)]
    assert [row[0] for row in table] == [
        "resid",
        "resid@norm",
        "mlp@project:8",
        "latents",
        "video",
        "other",
        "in",
    ]
    # The name, a slab, how many there are, a run, all runs.
    assert table[0][1:4] == ["2.3", "kB", "48"]
    assert table[2][1:4] == ["768", "B", "36"]
    assert "3 to make, 0 there already: 1 sample, seeds 0-2" in result.stdout
    assert "resid 0-3, mlp 1-3" in result.stdout
    assert "not measured: less than 64 MB are to be written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_plan_as_json_adds_up(run: Run) -> None:
    plan = data(run("--seeds", "0-2", "--reduce", "project:8", "--reduce", "norm", "--dry-run", "--json"))
    assert list(plan["bytes"]) == ["resid@project:8", "resid@norm", "latents", "video", "other", "all"]
    (sample,) = plan["samples"]
    assert plan["bytes"]["all"] == 3 * sum(sample["run_bytes"].values())
    assert plan["bytes"] == {
        **{part: 3 * size for part, size in sample["run_bytes"].items()},
        "all": plan["bytes"]["all"],
    }
    assert sample["token_grid"] == [3, 4, 4]
    assert plan["reductions"] == {"resid": ["project:8", "norm"]}
    assert plan["runs"] == {"to_make": 3, "made": 0}
    assert plan["fits"] is True
    assert plan["would_fit"] == []
    assert plan["free_bytes"] > plan["bytes"]["all"]


def test_compressed_sizes_are_bounds(run: Run) -> None:
    result = run("--compression", "zstd", "--dry-run")
    assert re.search(r"^needs +at most \d", result.stdout, re.MULTILINE)
    assert "compressed with zstd" in result.stdout
    assert data(run("--compression", "zstd", "--dry-run", "--json"))["at_most"] is True
    assert data(run("--dry-run", "--json"))["at_most"] is False


def test_runs_that_are_there_already_need_nothing(run: Run) -> None:
    assert run("--seeds", "0-1").exit_code == 0
    plan = data(run("--seeds", "0-2", "--dry-run", "--json"))
    assert plan["runs"] == {"to_make": 1, "made": 2}
    assert plan["bytes"]["all"] == sum(plan["samples"][0]["run_bytes"].values())


def test_the_disk_is_measured_where_the_store_will_be(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trace_plan, "SMALL", 0)
    seen: list[tuple[Path, int]] = []

    def measure(folder: Path, threads: int, *, most_bytes: int) -> float:
        seen.append((folder, threads))
        return most_bytes / 240

    monkeypatch.setattr(trace_plan, "measure_write_speed", measure)
    result = run("--dry-run", "--writers", "3")
    assert re.search(
        r"^writing +4\.0 min at [\d.]+ kB/s \(3 threads, measured\)$", result.stdout, re.MULTILINE
    )
    assert data(run("--dry-run", "--json"))["writing"]["seconds"] == pytest.approx(240, rel=1e-3)
    assert seen == [(tmp_path, 3), (tmp_path, 1)]
    done = run()
    assert "the disk takes them in 4.0 min" in done.stderr


def test_measuring_leaves_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trace_plan, "SMALL", 0)
    assert data(run("--dry-run", "--json"))["writing"]["bytes_per_second"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_measured_does_not_hide_the_plan(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trace_plan, "SMALL", 0)

    def refuse(*_: object, **__: object) -> float:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trace_plan, "measure_write_speed", refuse)
    result = run("--dry-run")
    assert result.exit_code == 0
    assert f"not measured: {tmp_path}: Permission denied" in result.stdout
    assert data(run("--dry-run", "--json"))["writing"]["seconds"] is None


@pytest.mark.parametrize("share", [0.9, 0.5, 0.3, 0.03])
def test_what_would_fit_can_be_pasted(
    share: float, run: Run, free: Callable[[int], None], tmp_path: Path
) -> None:
    flags = ["--sites", "resid,mlp", "--seeds", "0-7", "--layers", "0-3", "--save-steps", "all"]
    plan = data(run(*flags, "--dry-run", "--json"))
    fixed = 8 * sum(plan["samples"][0]["run_bytes"][part] for part in ("latents", "video", "other"))
    space = fixed + int(share * (plan["bytes"]["all"] - fixed))
    free(space)
    refused = run(*flags, "--dry-run", "--json")
    assert refused.exit_code == 2
    told = json.loads(refused.stdout)
    assert told["fits"] is False
    assert told["would_fit"]
    assert len(refused.stderr.splitlines()) == 1 + len(told["would_fit"])
    for way in told["would_fit"]:
        assert way["flags"] in refused.stderr
        smaller = data(run(*flags, *way["flags"].split(), "--dry-run", "--json"))
        assert smaller["bytes"]["all"] == way["bytes"] <= space
    assert list(tmp_path.iterdir()) == []


def test_a_trace_that_does_not_fit_is_refused_like_its_dry_run(
    run: Run, free: Callable[[int], None], tmp_path: Path
) -> None:
    free(400_000)
    dry, real = run("--seeds", "0-1", "--dry-run"), run("--seeds", "0-1")
    assert dry.exit_code == real.exit_code == 2
    error = re.compile(r"^error: .*", re.MULTILINE | re.DOTALL)
    assert error.search(dry.stderr)[0] == error.search(real.stderr)[0]
    assert "would take" in real.stderr
    assert "not measured: it does not fit" in dry.stdout
    assert real.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_for_reaches_the_store(run: Run, tmp_path: Path) -> None:
    result = run(
        *("--sites", "resid,mlp", "--reduce", "norm", "--reduce", "resid=project:8", "--reduce-seed", "5"),
        *("--store-dtype", "fp8", "--compression", "lz4", "--writers", "2"),
    )
    assert result.exit_code == 0, result.output
    store = open_store(tmp_path / "store")
    with store.run("a", 0) as kept:
        assert set(kept.sites) == {"resid@project:8", "mlp@norm"}
        assert {info.dtype for info in kept.sites.values()} == {"fp8"}
        assert {info.compression for info in kept.sites.values()} == {"lz4"}
    assert store.settings.capture["reductions"] == {"resid": ["project:8"], "mlp": ["norm"]}
    assert store.settings.capture["reduction_seed"] == 5
    assert store.settings.capture["compression"] == "lz4"


def test_at_the_end_it_says_what_was_written(run: Run, tmp_path: Path) -> None:
    result = run("--seeds", "0-1")
    done = result.stderr.splitlines()[-1]
    size = sum(entry.size for entry in open_store(tmp_path / "store").runs())
    assert re.fullmatch(rf"done: 2 runs in \d+ s, {size / 1000:.0f} kB \([\d.]+ [kM]B/s\), .*store", done)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--json"], "give --dry-run too"),
        (["--reduce", "half"], 'unknown reduction "half"'),
        (["--reduce", "mlp=norm"], "mlp is not captured"),
        (["--reduce", "norm", "--reduce", "norm"], "norm is asked for twice"),
        (
            ["--reduce", "tokens:49"],
            "sample a, site resid: reduction tokens:49: the token grid (3, 4, 4) has 48",
        ),
        (["--reduce", "project:25"], "a token has 24 channels only"),
        (["--compression", "gzip"], 'unknown compression "gzip"; use none, lz4, zstd'),
        (["--store-dtype", "int8"], 'unknown store dtype "int8"; use auto, bf16, fp16, fp32, fp8'),
        (["--host-memory", "0.000001"], "does not hold one layer of resid (4.6 kB); give at least 0.01 GiB"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_choices_are_one_line(flags: list[str], message: str, run: Run, tmp_path: Path) -> None:
    result = run(*flags)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_the_shell_completes_choices() -> None:
    assert one_of("none", "lz4", "zstd")("l") == ["lz4"]
    sites = one_of("resid", "mlp", "mlp.raw", after=",")
    assert sites("resid,mlp") == ["resid,mlp", "resid,mlp.raw"]
    assert sites("") == ["resid", "mlp", "mlp.raw"]
    assert one_of("norm", "frames", after="=+")("resid=frames+n") == ["resid=frames+norm"]
