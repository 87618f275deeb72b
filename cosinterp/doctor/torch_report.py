"""A program of its own: what torch says of itself and of its devices, as JSON on the last line it prints.

It is run by its path, so that a driver that hangs or crashes takes only this process with it, and so that who
asks need not load torch. It makes nothing on a GPU: a context there would take memory from those who use it.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def report() -> dict[str, Any]:
    """Versions, devices, what torch warns of, and why there is no CUDA if there is none."""
    import torch

    said: dict[str, Any] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "threads": torch.get_num_threads(),
        "mps": torch.backends.mps.is_available(),
        "available": False,
        "error": "",
        "devices": [],
    }
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        said["available"] = torch.cuda.is_available()
        if said["available"] or torch.version.cuda or torch.version.hip:
            try:
                torch.cuda.init()
                said["devices"] = [_device(torch, index) for index in range(torch.cuda.device_count())]
            except (RuntimeError, AssertionError) as error:
                said["available"] = False
                said["error"] = " ".join(str(error).split())
    said["warnings"] = [" ".join(str(warning.message).split()) for warning in warned]
    return said


def _device(torch: Any, index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {
        "index": index,
        "name": properties.name,
        "capability": [properties.major, properties.minor],
        "memory_total": properties.total_memory,
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(report()) + "\n")
