"""The Slurm recipe in a dry run: with commands that write down how they were called."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "slurm_ray.sh"
PROMPT = """it's "red" & $HOME; the goal"""
TRACE = ("trace", "--prompt", PROMPT, "--seeds", "0-7", "--store", "/shared/a store")
ADDRESS = "10.1.2.3:20042"
ON_EACH = "srun --overlap --ntasks-per-node=1 --cpus-per-task=6"

# What each command does. An `srun` does what it is given, on this machine.
_FAKES = {
    "scontrol": """
note scontrol "$@"
case "$2" in
    hostnames) printf 'gpu-1\\ngpu-2\\ngpu-3\\n' ;;
    node) printf 'NodeName=%s Arch=x86_64\\n   NodeAddr=10.1.2.3 NodeHostName=%s\\n' "$3" "$3" ;;
esac""",
    "srun": """
note srun "$@"
while [[ $1 == --* ]]; do shift; done
exec "$@" """,
    "ray": """
note ray "$@"
trap 'note ended ray; exit 0' TERM
while :; do sleep 0.02; done""",
    # Waits for nodes: until so many Rays were started as there are steps for.
    "python": """
wanted=$(($4 > 1 ? 2 : 1))
until (($(grep -c '^ray start' "$CALLS") >= wanted)); do sleep 0.02; done
note python "$@"
exit "${NODES_CODE:-0}" """,
    "cosinterp": """
note cosinterp "$@"
note environment "$RAY_USAGE_STATS_ENABLED" "$RAY_AUTH_MODE" "${#RAY_AUTH_TOKEN}" "$RAY_TMPDIR"
trap 'note interrupted; exit 130' INT
if [[ -n ${HANG:-} ]]; then
    note hanging
    while :; do sleep 0.02; done
fi
exit "${COMMAND_CODE:-0}" """,
}
_NOTE = """#!/usr/bin/env bash
note() { local line; printf -v line '%q ' "$@"; printf '%s\\n' "${line% }" >>"$CALLS"; }
"""


@dataclass
class Allocation:
    """A Slurm allocation that is none.

    ``calls``: the file that has the calls in their order.
    """

    folder: Path
    calls: Path

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCRIPT, *words],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "CALLS": str(self.calls),
                "SLURM_JOB_ID": "42",
                "SLURM_JOB_NODELIST": "gpu-[1-3]",
                "SLURM_CPUS_PER_TASK": "6",
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def made(self) -> list[list[str]]:
        """The words of each call."""
        return [shlex.split(line) for line in self.calls.read_text().splitlines()]

    def wait_for(self, call: str) -> None:
        deadline = time.monotonic() + 20
        while not any(" ".join(words).startswith(call) for words in self.made()):
            assert time.monotonic() < deadline, self.made()
            time.sleep(0.02)


@pytest.fixture
def allocation(tmp_path: Path) -> Allocation:
    made = Allocation(tmp_path / "bin", tmp_path / "calls.txt")
    made.folder.mkdir()
    made.calls.touch()
    for name, body in _FAKES.items():
        command = made.folder / name
        command.write_text(_NOTE + body)
        command.chmod(0o755)
    return made


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=30)
    return process.returncode, said


def test_the_script_is_bash() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_ray_is_started_on_all_nodes_then_the_command_runs_then_ray_is_stopped(
    allocation: Allocation,
) -> None:
    code, said = end(allocation.start(*TRACE, COMMAND_CODE="3"))

    assert code == 3, said
    head = "ray start --num-cpus=6 --disable-usage-stats --block --head --node-ip-address=10.1.2.3"
    others = f"ray start --num-cpus=6 --disable-usage-stats --block --address={ADDRESS}"
    lines = [" ".join(words) for words in allocation.made()]
    assert lines == [
        "scontrol show hostnames gpu-[1-3]",
        "scontrol show node gpu-1",
        f"{ON_EACH} --nodes=1 --ntasks=1 --nodelist=gpu-1 {head} --port=20042 --include-dashboard=false",
        f"{head} --port=20042 --include-dashboard=false",
        f"python -m cosinterp.executors.ray_nodes {ADDRESS} 1 300",
        f"{ON_EACH} --nodes=2 --ntasks=2 --exclude=gpu-1 {others}",
        others,
        f"python -m cosinterp.executors.ray_nodes {ADDRESS} 3 300",
        " ".join(["cosinterp", *TRACE, "--executor", "ray", "--address", ADDRESS, "--resume"]),
        "environment 0 token 64 /tmp/ray-42",
        "ended ray",
        "ended ray",
        "srun --overlap --nodes=3 --ntasks-per-node=1 rm -rf /tmp/ray-42",
    ]


def test_the_command_gets_the_words_as_they_were_given(allocation: Allocation) -> None:
    code, said = end(allocation.start(*TRACE, "--resume"))

    assert code == 0, said
    given = next(words for words in allocation.made() if words[0] == "cosinterp")
    assert given == ["cosinterp", *TRACE, "--resume", "--executor", "ray", "--address", ADDRESS]


def test_nothing_runs_if_nodes_are_missing_and_ray_is_stopped(allocation: Allocation) -> None:
    code, _ = end(allocation.start(*TRACE, NODES_CODE="2"))

    assert code == 2
    names = [words[0] for words in allocation.made()]
    assert "cosinterp" not in names
    assert names[-2:] == ["ended", "srun"]


def test_an_interrupt_reaches_the_command_before_ray_is_stopped(allocation: Allocation) -> None:
    script = allocation.start(*TRACE, HANG="1")
    allocation.wait_for("hanging")
    script.send_signal(signal.SIGINT)
    code, _ = end(script)

    assert code == 130
    assert [words[0] for words in allocation.made()][-4:] == ["interrupted", "ended", "ended", "srun"]


def test_the_script_says_how_it_is_used(allocation: Allocation) -> None:
    code, said = end(allocation.start())

    assert code == 2
    assert "usage: sbatch" in said
    assert not allocation.made()
