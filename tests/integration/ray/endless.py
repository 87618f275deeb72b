"""A program that has Ray started for it, on this machine, and works until it is stopped.

python -m tests.integration.ray.endless FOLDER
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from pathlib import Path

from cosinterp.executors.executor import Told
from cosinterp.executors.ray_executor import RayExecutor
from tests.integration.ray.works import Endless

if __name__ == "__main__":
    # A test run in the background inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    with closing(RayExecutor(device="cpu", shared=[folder]).run(Endless(folder), range(2))) as happening:
        for happened in happening:
            if isinstance(happened, Told):
                sys.stdout.write(f"{happened.message}\n")
                sys.stdout.flush()
