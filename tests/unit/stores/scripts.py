"""Scripts that a test runs in a process of its own: what they do to it, or it to them, stays there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]


def output_of(script: str, *arguments: str | Path) -> str:
    """What ``script``, a Python program, prints; it has to succeed and to complain of nothing."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout
