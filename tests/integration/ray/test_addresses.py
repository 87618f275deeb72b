"""What is refused before Ray is asked for anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.executors import ray_cluster

TRACE = ("trace", "--model", "maze-wan", "--prompt", "go")
BY_RAY = ("--executor", "ray", "--device", "cpu")


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def refusal(tmp_path: Path, *flags: str) -> str:
    result = CliRunner().invoke(app, [*TRACE, "--store", str(tmp_path / "store"), *flags])
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "store" / "runs").exists()
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.output
    return lines[0]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ((*BY_RAY, "--address", "head"), "--address head: give auto, HOST:PORT or ray://HOST:PORT"),
        (("--address", "auto"), "--address is for --executor ray"),
        (("--gpus-per-task", "0.5"), "--gpus-per-task is for --executor ray"),
        (("--executor", "ray", "--device", "cuda:1"), "Ray chooses among the GPUs; give cuda or cpu"),
        (("--executor", "slurm"), "there are local and ray"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path: Path, flags: tuple[str, ...], reason: str) -> None:
    assert reason in refusal(tmp_path, *flags)


def test_an_address_at_which_nothing_answers(tmp_path: Path, silent: str) -> None:
    said = refusal(tmp_path, *BY_RAY, "--address", silent)
    assert f"--address {silent}: nothing answers there" in said


def test_the_address_of_the_environment(tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", silent)
    assert "--address auto: nothing answers there" in refusal(tmp_path, *BY_RAY, "--address", "auto")


def test_ray_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = ray_cluster.find_spec
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None if name == "ray" else find_spec(name))
    assert "Ray is not installed: pip install 'cosinterp[ray]'" in refusal(tmp_path, *BY_RAY)
