"""Bytes, hours and the bottleneck of a study on many GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosinterp.errors import TraceError
from cosinterp.planning.estimate import total_bytes
from cosinterp.planning.fleet import (
    GPUS,
    NODE_DISKS,
    SHARED_DISK,
    WAYS,
    Bill,
    Fleet,
    Study,
    bill_of,
    ways_to_keep,
)
from tests.unit.planning.making import SMALL, WAN_14B, plan_of

FULL = plan_of().kept
FLEET = Fleet(gpus=16, gpus_per_node=8, node_disk=2e9)


def bill(runs: int = 160, seconds: float = 100.0, fleet: Fleet = FLEET) -> Bill:
    return bill_of(Study(runs={WAN_14B: runs}, run_seconds=seconds), FULL, fleet)


def test_each_side_takes_its_own_time() -> None:
    made = bill()
    size = total_bytes(FULL, {WAN_14B: 160})
    assert made.size == size
    assert made.run_size == size / 160
    assert made.seconds == {GPUS: 10 * 100.0, NODE_DISKS: size / 4e9}
    assert made.node_rate == pytest.approx(8 * made.run_size / 100)
    assert made.bottleneck == NODE_DISKS
    assert made.wall == made.seconds[NODE_DISKS]
    assert made.waiting == pytest.approx(made.wall / 1000)


def test_what_is_waited_for_is_the_slowest() -> None:
    assert bill(seconds=1e5).bottleneck == GPUS
    assert bill(seconds=1e5).waiting == 1
    assert bill(fleet=replace(FLEET, shared_disk=1e9)).bottleneck == SHARED_DISK
    assert bill(fleet=replace(FLEET, shared_disk=1e12)).bottleneck == NODE_DISKS


def test_a_round_that_is_not_full_takes_as_long() -> None:
    assert bill(runs=161).seconds[GPUS] == 11 * 100.0
    assert bill(runs=1).seconds[GPUS] == 100.0


def test_a_node_that_is_not_full_writes_too() -> None:
    assert Fleet(gpus=9, gpus_per_node=8, node_disk=1).nodes == 2


def test_a_lost_node_takes_its_runs_in_flight_with_it() -> None:
    assert bill(seconds=1e5).lost_gpu_seconds == 8 * 1e5
    assert bill().lost_gpu_seconds == pytest.approx(8 * 100 * bill().waiting)


def test_shapes_count_by_their_runs() -> None:
    made = bill_of(Study(runs={WAN_14B: 1, SMALL: 3}, run_seconds=1.0), FULL, FLEET)
    assert made.size == total_bytes(FULL, {WAN_14B: 1}) + 3 * total_bytes(FULL, {SMALL: 1})
    assert made.run_size == made.size / 4


@pytest.mark.parametrize("field", ["gpus", "gpus_per_node", "node_disk", "shared_disk"])
def test_a_fleet_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(TraceError, match=f"{field.replace('_', ' ')} has to be more than 0"):
        replace(FLEET, **{field: 0})


def test_ways_are_those_that_there_is_room_for() -> None:
    large = ways_to_keep(FULL, {WAN_14B: 1})
    assert len(large) == len(WAYS)
    assert large[0] == ("full bf16", FULL)
    small = [name for name, _ in ways_to_keep(FULL, {WAN_14B: 1, SMALL: 1})]
    assert small == ["full bf16", "full fp8", "norm bf16", "frames bf16", "mean bf16"]


def test_every_site_is_kept_the_same_way() -> None:
    kept = plan_of(sites=("resid", "mlp")).kept
    ways = dict(ways_to_keep(kept, {WAN_14B: 1}))
    assert ways["project:64, norm bf16"].reductions == {
        "resid": ("project:64", "norm"),
        "mlp": ("project:64", "norm"),
    }
