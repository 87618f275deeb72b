"""A program that waits until all nodes of a Ray cluster are there, for scripts that start one.

    python -m cosinterp.executors.ray_nodes ADDRESS COUNT [SECONDS]

It ends with exit code 0 when the cluster has COUNT nodes, and with 2 and one line if that takes longer.
"""

from __future__ import annotations

import sys
import time

from cosinterp.executors.ray_cluster import ray_cluster
from cosinterp.executors.ray_errors import ClusterError
from stores.units import count_text

_PAUSE = 1.0
_SECONDS = 300.0


def wait_for_nodes(address: str, count: int, seconds: float = _SECONDS) -> None:
    """Wait until a cluster has so many nodes that are alive.

    Raises:
        ClusterError: it has fewer after so many seconds, or does not answer until then.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with ray_cluster(address) as cluster:
                while (there := len(cluster.nodes())) < count:
                    if time.monotonic() > deadline:
                        raise _Fewer(
                            f"{cluster.name} has {count_text(there, 'node')} of {count} after {seconds:.0f} s"
                        )
                    time.sleep(_PAUSE)
            return
        except _Fewer:
            raise
        except ClusterError:
            # Not started yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)


class _Fewer(ClusterError):
    """It answers, and nodes are missing."""


def main(arguments: list[str]) -> int:
    """Wait as the arguments say."""
    address, count, *seconds = arguments
    try:
        wait_for_nodes(address, int(count), *map(float, seconds))
    except ClusterError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
