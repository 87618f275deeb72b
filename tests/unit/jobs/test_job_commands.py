"""What is known of a command before it is run."""

from __future__ import annotations

import pytest

from cosinterp.errors import JobError
from cosinterp.jobs.commands import described


@pytest.mark.parametrize(
    ("words", "device"),
    [
        ("trace --model m --store s", None),
        ("trace --device cuda:0,2 --store s", "cuda:0,2"),
        ("trace --device=free:2", "free:2"),
        ("trace --device cpu --device cuda:1", "cuda:1"),
        # It is the prompt, and no flag.
        ("trace --prompt --device --store s", None),
        ("trace -- --device cpu", None),
        ("trace --resume --device cpu", "cpu"),
    ],
)
def test_the_device_is_that_of_the_flag(words: str, device: str | None) -> None:
    command = described(words.split())
    assert command.takes_device
    assert command.device == device


def test_a_command_without_that_flag_takes_no_device() -> None:
    command = described(["store", "verify", "--device", "cuda:0"])
    assert (command.takes_device, command.device) == (False, None)


@pytest.mark.parametrize(
    ("words", "takes_device", "takes_all"),
    [
        ("trace --executor ray", True, True),
        ("trace --executor local", True, False),
        # The GPUs of a cluster are none of this machine's.
        ("trace --executor ray --address auto", False, False),
    ],
)
def test_who_does_the_work_tells_whose_gpus_are_taken(
    words: str, takes_device: bool, takes_all: bool
) -> None:
    command = described(words.split())
    assert (command.takes_device, command.takes_all) == (takes_device, takes_all)


@pytest.mark.parametrize(
    ("words", "resuming"),
    [
        ("trace --store s", "trace --resume --store s"),
        ("trace --store s --resume", "trace --store s --resume"),
        ("trace --prompt --resume", "trace --resume --prompt --resume"),
        ("trace --store s -- x", "trace --resume --store s -- x"),
        # It has no such flag.
        ("store verify s", "store verify s"),
    ],
)
def test_a_command_goes_on_with_its_flag_for_that(words: str, resuming: str) -> None:
    assert described(words.split()).resuming == tuple(resuming.split())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("tarce --store s", 'there is no command "tarce --store"; see: cosinterp --help'),
        ("store", 'there is no command "store"'),
        ("store verfy s", 'there is no command "store verfy"'),
        ("--version", 'there is no command "--version"'),
        ("tui", '"tui" cannot be a job'),
        ("jobs ls", '"jobs" cannot be a job'),
        ("trace --store s --detach", "a job is detached already; leave out --detach"),
    ],
)
def test_what_cannot_be_a_job_is_said(words: str, why: str) -> None:
    with pytest.raises(JobError) as refused:
        described(words.split())
    assert str(refused.value).startswith(why)
