"""The ring: slots never overlap, never exceed it, and waiting ends."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.capture.ring import Ring, RingClosed, Slot

LARGEST = 704


@given(st.lists(st.tuples(st.integers(1, LARGEST), st.integers(0, 5)), max_size=60))
def test_slots_that_are_held_never_overlap(moves: list[tuple[int, int]]) -> None:
    ring = Ring(4096)
    held: list[Slot] = []
    taken: list[Slot] = []
    for nbytes, freed in moves:
        for _ in range(min(freed, len(held))):
            # Not in the order in which they were taken.
            held.pop(nbytes % len(held)).free()
        while taken and taken[0] not in held:
            taken.pop(0)
        if sum(slot.end - slot.start for slot in taken) + 2 * LARGEST > ring.capacity:
            # Else `take` might wait, for ever: here is nobody else to free a slot.
            for slot in held:
                slot.free()
            held.clear()
            taken.clear()
        slot = ring.take(nbytes)
        assert slot.memory.numel() == nbytes
        assert 0 <= slot.start < slot.end <= ring.capacity
        for other in held:
            assert slot.end <= other.start or other.end <= slot.start
        held.append(slot)
        taken.append(slot)


def test_taking_waits_until_the_oldest_slot_is_free() -> None:
    ring = Ring(256)
    first, second = ring.take(128), ring.take(128)
    got: list[Slot] = []
    waiter = threading.Thread(target=lambda: got.append(ring.take(64)))
    waiter.start()
    second.free()
    time.sleep(0.05)
    assert not got
    first.free()
    waiter.join(5)
    assert len(got) == 1


def test_who_waits_is_told_that_the_ring_has_stopped() -> None:
    ring = Ring(64)
    ring.take(64)
    threading.Timer(0.05, ring.stop).start()
    with pytest.raises(RingClosed):
        ring.take(1)


def test_what_is_larger_than_the_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit a ring"):
        Ring(128).take(129)


def test_the_whole_ring_can_be_one_slot() -> None:
    ring = Ring(1000)
    for _ in range(3):
        ring.take(1000).free()
