"""The sink: what is put arrives as it was, in the store's dtype, whatever happens to the tensor after."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from cosinterp.capture.conversion import quantised
from cosinterp.capture.sink import RingSinks
from cosinterp.errors import TraceError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def sinks(device: str, host_memory: int = 2**20, threads: int = 2, staging: int = 2) -> RingSinks:
    return RingSinks(torch.device(device), host_memory=host_memory, threads=threads, staging=staging)


def bits(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.cpu()
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "as_torch"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)]
)
def test_each_tensor_arrives_in_the_dtype_that_is_asked_for(
    dtype: str, as_torch: torch.dtype, device: str
) -> None:
    got: list[np.ndarray] = []
    # Neither contiguous nor of that dtype.
    source = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).to(device).t()
    with sinks(device) as made:
        made.sink().put(lambda array: got.append(array.copy()), (source, dtype))
    assert got[0].flags["C_CONTIGUOUS"]
    assert np.array_equal(got[0], bits(source.to(as_torch)))


@pytest.mark.parametrize("device", DEVICES)
def test_a_tensor_may_change_as_soon_as_it_is_put(device: str) -> None:
    """More is put than the ring and the staging buffers hold, and each tensor is overwritten in place."""
    count, size = 64, 250_000
    got: dict[int, float] = {}
    tensor = torch.empty(size, device=device)

    def keep(number: int, array: np.ndarray) -> None:
        got[number] = float(array[0]) if (array == array[0]).all() else float("nan")

    with sinks(device, host_memory=4 * 4 * size, threads=3) as made:
        sink = made.sink()
        for number in range(count):
            tensor.fill_(number)
            sink.put(lambda array, number=number: keep(number, array), (tensor, "fp32"))
            tensor.fill_(-1)
    assert got == {number: float(number) for number in range(count)}


@pytest.mark.parametrize("device", DEVICES)
def test_parts_of_one_put_arrive_together(device: str) -> None:
    got: list[tuple[np.ndarray, ...]] = []
    values = torch.linspace(-3, 3, 96).reshape(1, 4, 24).to(device)
    codes, factors = quantised(values, 2)
    with sinks(device) as made:
        made.sink().put(
            lambda *arrays: got.append(tuple(array.copy() for array in arrays)),
            (codes[0], "uint8"),
            (factors[0], "fp32"),
        )
    assert np.array_equal(got[0][0], codes[0].cpu().numpy())
    assert np.array_equal(got[0][1], factors[0].cpu().numpy())


@pytest.mark.parametrize("device", DEVICES)
def test_the_model_waits_while_the_ring_is_full(device: str) -> None:
    gate = threading.Event()
    held: list[int] = []
    tensor = torch.zeros(1000, device=device)
    made = sinks(device, host_memory=3 * 4096, threads=1)

    def feed() -> None:
        for number in range(5):
            made.sink().put(lambda _: gate.wait(10), (tensor, "fp32"))
            held.append(number)

    with made:
        feeder = threading.Thread(target=feed)
        feeder.start()
        time.sleep(0.3)
        assert held == [0, 1, 2]
        gate.set()
        feeder.join(10)
    assert held == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("device", DEVICES)
def test_who_waits_for_a_full_ring_is_told_the_error_of_a_writer(device: str) -> None:
    tensor = torch.zeros(1000, device=device)

    def fail(_: np.ndarray) -> None:
        time.sleep(0.1)
        raise OSError("disk full")

    def feed(made: RingSinks) -> None:
        sink = made.sink()
        for _ in range(10):
            sink.put(fail, (tensor, "fp32"))

    with pytest.raises(OSError, match="disk full"), sinks(device, host_memory=2 * 4000, threads=1) as made:
        feed(made)
    assert not [t for t in threading.enumerate() if t.name.startswith("cosinterp-writer")]


@pytest.mark.parametrize("device", DEVICES)
def test_values_beyond_fp16_are_refused(device: str) -> None:
    written: list[np.ndarray] = []
    with sinks(device) as made:
        made.sink().put(
            lambda array: written.append(array.copy()), (torch.tensor([65504.0]).to(device), "fp16")
        )
    assert written[0].tolist() == [65504.0]
    with pytest.raises(TraceError, match="exceed the range of fp16"), sinks(device) as made:
        made.sink().put(written.append, (torch.tensor([70000.0]).to(device), "fp16"))
    assert len(written) == 1
