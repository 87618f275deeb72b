"""What it costs to be told what a command would do, against a dry run of its own in the terminal.

    python -m tests.benchmarks.bench_rehearsal [--rounds 5] [--samples 4]

The store is made first, with the bundled model. Then comes the first answer of a process that is started for
it, and warm ones about each command. Each round also starts a fresh ``cosinterp trace --dry-run --json``, and
asks whether the words can be parsed, in this process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cosinterp.rehearsal import Answer, Rehearsal, check_words

SMALL = "--num-steps 2 --guidance-scale 1"
COMMANDS = {
    "trace": f"trace --model maze-wan --dataset {{mazes}} --store {{new}} --seeds 0-3 {SMALL}",
    "ensemble": f"ensemble --model maze-wan --dataset {{mazes}} --store {{new}} --seeds 0-2 {SMALL}",
    "patch": "patch {store} --donor {first} --recipient {second}",
    "noise": f"noise --model maze-wan --dataset {{mazes}} --store {{new}} {SMALL}",
    "probe": "probe {store} --target path --folds 2 --inner-folds 2",
    "experiment": "experiment chain-of-steps --model maze-wan --dataset {mazes} --store {new} --preset smoke",
}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--samples", type=int, default=4)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = _made(Path(folder), chosen.samples)
        rehearsal = Rehearsal()
        first, answer = _timed(lambda: rehearsal.ask(words["trace"]))
        _check(answer)
        print(f"first answer of a process that is started for it: {first:.2f} s")
        seconds: dict[str, list[float]] = {name: [] for name in (*words, "fresh trace", "parsed only")}
        for name in words:
            # What it imports, the process imports too.
            _check(rehearsal.ask(words[name]))
        time.sleep(3)
        for _ in range(chosen.rounds):
            for name, asked in words.items():
                took, answer = _timed(lambda asked=asked: rehearsal.ask(asked))
                _check(answer)
                seconds[name].append(took)
            fresh = [sys.executable, "-m", "cosinterp", *words["trace"], "--dry-run", "--json"]
            seconds["fresh trace"].append(_timed(lambda fresh=fresh: _run(fresh))[0])
            seconds["parsed only"].append(_timed(lambda: check_words(words["trace"]))[0])
        rehearsal.close()
        for name, taken in seconds.items():
            print(
                f"{name:<12} median {1000 * statistics.median(taken):7.1f} ms, "
                f"{1000 * min(taken):.1f} to {1000 * max(taken):.1f} (n={len(taken)})"
            )


def _made(folder: Path, samples: int) -> dict[str, list[str]]:
    """The words of each command, about mazes and a store of their runs that are made in ``folder``."""
    own = [sys.executable, "-m", "cosinterp"]
    _run([*own, "mazes", "--out", str(folder / "mazes"), "--count", str(samples)])
    _run(
        [
            *(*own, "trace", "--model", "maze-wan", "--device", "cpu", *SMALL.split(), "--no-video"),
            *("--dataset", str(folder / "mazes"), "--store", str(folder / "store")),
        ]
    )
    first, second = sorted(path.name for path in (folder / "store" / "runs").iterdir())[:2]
    named = {name: str(folder / name) for name in ("mazes", "store", "new")}
    return {
        name: [word.format(**named, first=first, second=second) for word in line.split()]
        for name, line in COMMANDS.items()
    }


def _timed(act: Callable[[], Answer | None]) -> tuple[float, Answer | None]:
    begun = time.perf_counter()
    answer = act()
    return time.perf_counter() - begun, answer


def _run(words: list[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _check(answer: Answer | None) -> None:
    assert answer is not None
    assert answer.ok, answer.message + answer.bug


if __name__ == "__main__":
    main()
