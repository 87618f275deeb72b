"""Every site of every family can be written: what is asked for is there, and nothing else has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cosinterp.models.blocks import RAW, RESID
from cosinterp.models.model import Model
from tests.families.one_call import (
    OneCall,
    hold,
    one_call,
    parts_of,
    read,
    write_entering,
    write_leaving,
    write_sublayer,
)
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name, scope="module")


@pytest.fixture(scope="module")
def call(row: FamilyRow, family_model: Callable[[FamilyRow], Model]) -> OneCall:
    with row.installed():
        return one_call(family_model(row), row)


class Added:
    """A change: adds a random delta to every other token; remembers what it made of what."""

    def __init__(self) -> None:
        self.before = self.after = self.delta = torch.empty(0)

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        size = tokens.std() + 1e-3
        self.delta = size * torch.randn(tokens.shape, generator=generator).to(tokens.dtype)
        self.delta[:, 1::2] = 0
        self.before, self.after = tokens.clone(), tokens + self.delta
        return self.after.clone()


@each_row
def test_what_is_there_written_back_changes_nothing(call: OneCall) -> None:
    """At all sites of all layers at once, bit for bit."""
    first, block = call.block(1)
    written = [write_entering(block, stream, torch.clone) for stream in first.streams]
    for layer in call.model.layers[1:]:
        stack, block = call.block(layer)
        written += [write_leaving(block, stream, torch.clone) for stream in stack.streams]
        for part in stack.sublayers:
            written += [write_sublayer(block, part, torch.clone, raw=raw) for raw in (True, False)]
    assert torch.equal(call.run(*written), call.run())


@each_row
def test_a_stream_that_leaves_a_block(call: OneCall) -> None:
    for layer in call.middle_layers:
        stack, block = call.block(layer)
        for stream in stack.streams:
            change, untouched, left = Added(), [], []
            plain = call.run(read(block, untouched))
            prediction = call.run(write_leaving(block, stream, change), read(block, left))
            assert torch.equal(call.row.hooks[stream.site].take(left[0]), change.after)
            assert _changed_entries(untouched[0], left[0]) == _entries(change)
            assert not torch.equal(prediction, plain)


@each_row
def test_a_stream_that_enters_the_first_block(call: OneCall) -> None:
    _, block = call.block(1)
    assert [stream.site for stream in call.model.anatomy.stacks[0].streams] == list(call.row.entering)
    for stream in call.model.anatomy.stacks[0].streams:
        name, position = call.row.entering[stream.site], call.row.positions.get(stream.site, 0)
        entered: list[torch.Tensor] = []

        def entering(
            _: Any,
            args: tuple,
            kwargs: dict,
            name: str = name,
            position: int = position,
            entered: list[torch.Tensor] = entered,
        ) -> None:
            entered.append((kwargs[name] if name in kwargs else args[position]).clone())

        change = Added()
        written = write_entering(block, stream, change)
        after = [block.register_forward_pre_hook(entering, with_kwargs=True)]
        assert not torch.equal(call.run(written, after), call.run())
        assert torch.equal(entered[0], change.after)


@each_row
def test_what_a_module_puts_out(call: OneCall) -> None:
    """The rest of its output, such as that of the text, is what it was."""
    for layer in call.middle_layers:
        stack, block = call.block(layer)
        for part in stack.sublayers:
            hook = call.row.hooks[part.site + RAW]
            module = block.get_submodule(hook.module)
            change, untouched, put_out = Added(), [], []
            plain = call.run(read(module, untouched))
            prediction = call.run(write_sublayer(block, part, change, raw=True), read(module, put_out))
            found = hook.take(put_out[0]).reshape(change.after.shape)
            assert torch.equal(found, change.after), part.site
            assert _changed_entries(untouched[0], put_out[0]) == _entries(change), part.site
            assert not torch.equal(prediction, plain), part.site


@each_row
def test_what_is_added_to_the_residual_stream(call: OneCall) -> None:
    """While all that runs later in the block puts out what it did, the stream changes by what was added."""
    take = call.row.hooks[RESID].take
    for layer in call.middle_layers:
        stack, block = call.block(layer)
        for index, part in enumerate(stack.sublayers):
            later = {one.added or one.module: [] for one in stack.sublayers[index + 1 :]}
            before, after, change = [], [], Added()
            reading = [read(block.get_submodule(name), into) for name, into in later.items()]
            plain = call.run(*reading, read(block, before))
            holding = [hold(block.get_submodule(name), into[0]) for name, into in later.items()]
            writing = write_sublayer(block, part, change, raw=False)
            prediction = call.run(writing, *holding, read(block, after))
            old, new = take(before[0]), take(after[0])
            largest = max(float(one.abs().max()) for one in (old, new, change.before, change.after))
            rounding = 8 * torch.finfo(torch.float32).eps * largest
            torch.testing.assert_close(
                new - old, change.delta, rtol=0, atol=rounding, msg=lambda text, part=part: part.site + text
            )
            kept = change.delta == 0
            assert torch.equal(old[kept], new[kept]), part.site
            assert change.delta.abs().max() > 1000 * rounding, part.site
            assert not torch.equal(prediction, plain), part.site


@each_row
def test_latents_go_back_to_where_the_scheduler_sees_them(call: OneCall) -> None:
    anatomy = call.model.anatomy
    for seen in (part[:1] for part in call.seen):
        latents = seen if anatomy.unpack is None else anatomy.unpack(seen, call.size)
        assert latents.ndim == 5
        assert torch.equal(anatomy.packed_like(latents.double(), seen, call.size), seen)
        # Frames that are pinned come first, and some schedulers are not shown them.
        more = torch.cat([torch.full_like(latents[:, :, :1], torch.nan), latents], dim=2)
        packed = anatomy.packed_like(more, torch.zeros_like(seen), call.size)
        assert torch.equal(packed, seen)
        assert packed.dtype == seen.dtype


def _entries(change: Added) -> int:
    return int((change.after != change.before).sum())


def _changed_entries(before: Any, after: Any) -> int:
    """How many numbers of an output differ."""
    pairs = zip(parts_of(before), parts_of(after), strict=True)
    return sum(int((one != other).sum()) for one, other in pairs)
