"""What is to be typed so that a command goes on."""

from __future__ import annotations

import pytest

from cosinterp.cli.command_line import command_line, continuing_line, resume_command, same_command

ARGV = ["/usr/bin/cosinterp", "trace", "--prompt", "a b"]


def test_a_command_goes_on_with_resume() -> None:
    assert command_line(ARGV) == "cosinterp trace --prompt 'a b'"
    assert resume_command(ARGV) == continuing_line(ARGV) == "cosinterp trace --prompt 'a b' --resume"
    assert resume_command([*ARGV, "--resume"]) == resume_command(ARGV)
    assert same_command(ARGV) == command_line(ARGV)


def test_a_module_is_run_as_one() -> None:
    assert same_command(["/x/cosinterp/__main__.py", "demo"]) == "python -m cosinterp demo"


def test_of_a_job_it_is_the_job_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSINTERP_JOB", "/home/me/jobs/trace-1123-kite")
    assert resume_command(ARGV) == same_command(ARGV) == "cosinterp jobs resume trace-1123-kite"
    # What is kept with a result is the command itself.
    assert continuing_line(ARGV) == "cosinterp trace --prompt 'a b' --resume"
