"""Ray, and the cluster that RAY_ADDRESS names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib import metadata

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted

_ADDRESS = "RAY_ADDRESS"
_SECONDS = 3.0
_ON_THIS_MACHINE = ("auto", "local")


def ray(circumstances: Circumstances) -> Iterator[Finding]:
    """Whether Ray is installed, and whether the cluster answers whose address is set.

    The address is not told: it names a machine of yours.
    """
    address = circumstances.environ.get(_ADDRESS, "")
    installed = _installed()
    if installed is None:
        yield _not_installed(bool(address))
    else:
        yield is_fine("Ray", installed, "--executor ray spreads a trace, a sweep or an ensemble.")
    if not address:
        yield is_fine("cluster", f"{_ADDRESS} is not set", "Without --address Ray starts on this machine.")
    elif address in _ON_THIS_MACHINE:
        yield is_fine("cluster", f"{_ADDRESS}={address}", "Looked for, or started, on this machine.")
    else:
        yield _reached(address)


def _installed() -> str | None:
    try:
        return metadata.version("ray")
    except metadata.PackageNotFoundError:
        return None


def _not_installed(wanted: bool) -> Finding:
    advice = 'pip install "cosinterp[ray]"'
    if wanted:
        meaning = f"{_ADDRESS} is set, and nothing here can use it."
        return is_lacking("Ray", "not installed", meaning, advice)
    return is_noted("Ray", "not installed", "One machine needs none.", f"For several: {advice}")


def _reached(address: str) -> Finding:
    name = "cluster"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return is_lacking(
            name,
            f"{_ADDRESS} is no address",
            "--executor ray cannot find the cluster by it.",
            f"Set {_ADDRESS} to host:port of the head node, such as node-1:6379.",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
    except OSError as error:
        return is_lacking(
            name,
            f"does not answer: {error.strerror or error}",
            f"Nothing listens at {_ADDRESS}, or it cannot be reached from here.",
            "On the head node: ray status. Start it with ray start --head --port=6379.",
        )
    return is_fine(name, "answers", "--executor ray uses it.")
