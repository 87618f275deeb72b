"""Ray that is not installed, and clusters that do not answer. Nothing leaves this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib import metadata

import pytest

from cosinterp.doctor import cluster
from tests.unit.doctor.asked import asked


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)


def address(of: socket.socket) -> str:
    return f"127.0.0.1:{of.getsockname()[1]}"


def test_without_an_address_nothing_is_tried() -> None:
    found = asked(cluster.ray)
    assert (found["Ray"].state, found["Ray"].value) == ("ok", metadata.version("ray"))
    assert found["cluster"].value == "RAY_ADDRESS is not set"
    assert asked(cluster.ray, environ={"RAY_ADDRESS": "auto"})["cluster"].state == "ok"


@pytest.mark.usefixtures("without_ray")
def test_without_ray_one_machine_is_enough() -> None:
    found = asked(cluster.ray)["Ray"]
    assert (found.state, found.value) == ("note", "not installed")
    wanted = asked(cluster.ray, environ={"RAY_ADDRESS": "auto"})["Ray"]
    assert (wanted.state, wanted.is_lacking) == ("lack", False)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_answers_is_told_without_its_address(listener: socket.socket, scheme: str) -> None:
    found = asked(cluster.ray, environ={"RAY_ADDRESS": scheme + address(listener)})["cluster"]
    assert (found.state, found.value) == ("ok", "answers")
    assert "127.0.0.1" not in str(found)


def test_a_cluster_that_does_not_answer_is_a_lack(listener: socket.socket) -> None:
    gone = address(listener)
    listener.close()
    found = asked(cluster.ray, environ={"RAY_ADDRESS": gone})["cluster"]
    assert (found.state, found.is_lacking) == ("lack", False)
    assert found.value.startswith("does not answer")
    assert gone not in str(found)


@pytest.mark.parametrize("text", ["node-1", "node-1:", ":6379", "node-1:port"])
def test_what_is_no_address_is_a_lack(text: str) -> None:
    found = asked(cluster.ray, environ={"RAY_ADDRESS": text})["cluster"]
    assert (found.state, found.value) == ("lack", "RAY_ADDRESS is no address")
