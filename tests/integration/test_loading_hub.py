"""What is fetched of a model on the hub: what describes it first, its weights when they are wanted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.hub import COMMIT, Hub, serving

REPOSITORY = Path(__file__).parents[2]
NAME = "someone/tiny-wan"
PROGRAM = """
import json, os, socket, sys
from cosinterp.errors import ModelError
from cosinterp.models.loading import prepare

def cut_off(*args):
    print(json.dumps([{"error": f"asked the network: {args[1:]}"}]), flush=True)
    os._exit(99)

def answer(what, name, settings):
    try:
        prepared = prepare(name, device="cpu", **settings)
        model = prepared.model if what == "prepare" else getattr(prepared, what)()
        model.nn
        return {"revision": model.revision, "num_layers": model.num_layers}
    except ModelError as error:
        return {"error": str(error)}

# What loading imports takes seconds, which the forks need not spend.
prepare(sys.argv[1], device="cpu").load()
for line in sys.stdin:
    if os.fork() == 0:
        requests, online = json.loads(line)
        if not online:
            socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = cut_off
        print(json.dumps([answer(*request) for request in requests]), flush=True)
        os._exit(0)
    os.wait()
"""

Request = tuple[str, str, dict[str, Any]]
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def served(tiny_folder: Callable[[str], Path]) -> Iterator[Hub]:
    with serving(NAME, tiny_folder("wan2.1-t2v")) as served:
        yield served


@pytest.fixture
def hub(served: Hub) -> Hub:
    """The hub, of which nothing has been fetched."""
    served.fetched.clear()
    return served


@pytest.fixture(scope="module")
def asked(
    served: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has a fork of its own answer each line of requests; where its cache is."""
    folder = tmp_path_factory.mktemp("asked")
    environment = {**served.environment(folder / "cache"), "PYTHONPATH": str(REPOSITORY)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(served.folder)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        yield process, folder / "cache"
        process.communicate(timeout=60)


@pytest.fixture
def ask(asked: tuple[subprocess.Popen[str], Path]) -> Ask:
    """Has a process of its own, whose cache is empty, prepare or load models one after another.

    Not ``online``, the first that asks the network for anything is an error.
    """
    process, cache = asked
    shutil.rmtree(cache, ignore_errors=True)

    def run(*requests: Request, online: bool = True) -> list[dict[str, Any]]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps((requests, online)) + "\n")
        process.stdin.flush()
        answers = process.stdout.readline()
        assert answers, cache.with_name("log").read_text()
        return json.loads(answers)

    return run


def test_a_model_is_described_without_its_weights(hub: Hub, ask: Ask) -> None:
    described, uncached = ask(("prepare", NAME, {}), ("load", NAME, {"local_files_only": True}))
    assert described == {"revision": COMMIT, "num_layers": 3}
    assert uncached == {"error": f"{NAME}: not all of it is in the local cache"}
    assert all(name.endswith(".json") for name in hub.fetched)
    assert {"model_index.json", "transformer/config.json"} <= set(hub.fetched)
    assert "tokenizer/tokenizer.json" not in hub.fetched


def test_decoding_fetches_the_vae_alone(hub: Hub, ask: Ask) -> None:
    (decoder,) = ask(("load_decoder", NAME, {}))
    assert decoder["revision"] == COMMIT
    weights = [name for name in hub.fetched if name.endswith(".safetensors")]
    assert weights == ["vae/diffusion_pytorch_model.safetensors"]


def test_a_local_folder_asks_nothing_of_the_network(
    hub: Hub, ask: Ask, tiny_folder: Callable[[str], Path]
) -> None:
    (loaded,) = ask(("load", str(tiny_folder("wan2.1-t2v")), {}), online=False)
    assert loaded == {"revision": None, "num_layers": 3}
    (named,) = ask(("load", NAME, {}), online=False)
    assert named["error"].startswith("asked the network")


def test_what_is_fetched_is_not_fetched_again(hub: Hub, ask: Ask) -> None:
    loaded, again, cached = ask(
        ("load", NAME, {"revision": "main"}),
        ("load", NAME, {"revision": COMMIT}),
        ("load", NAME, {"local_files_only": True}),
    )
    assert loaded == again == cached == {"revision": COMMIT, "num_layers": 3}
    assert sum(name.endswith(".safetensors") for name in hub.fetched) == 3
    assert len(hub.fetched) == len(set(hub.fetched))


def test_what_the_hub_does_not_have_is_said(ask: Ask) -> None:
    nowhere, revision, uncached = ask(
        ("prepare", "someone/nothing", {}),
        ("prepare", NAME, {"revision": "v9"}),
        ("prepare", NAME, {"local_files_only": True}),
    )
    unknown = "unknown model {}: neither bundled (maze-wan, scene-wan), nor a folder"
    assert nowhere["error"].startswith(f"{unknown.format('someone/nothing')}, nor on the hub")
    assert revision["error"] == f"{NAME}: has no revision v9"
    assert uncached["error"] == f"{unknown.format(NAME)}, nor in the local cache"
