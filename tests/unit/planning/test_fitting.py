"""What would fit, for a trace that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.errors import TraceError
from cosinterp.planning.fitting import check_space, ways_that_fit
from cosinterp.planning.plan import TracePlan
from stores.layout import STORE_FILE
from tests.unit.planning.making import SMALL, WAN_14B, plan_of

GB = 10**9
NO_STORE = Path("no-store-yet")
OFFER = "added to your flags, each of these would make it fit:"


def flags(plan: TracePlan, free: int) -> dict[str, int]:
    return {way.flags: way.size for way in ways_that_fit(NO_STORE, plan, plan.runs(), free)}


def test_each_way_that_is_enough_by_itself_is_offered_in_its_mildest_form() -> None:
    offered = flags(plan_of(), 300 * GB)
    assert list(offered) == [
        "--save-steps 0,2,4,6,8,10,12,14,16,18",
        "--layers 0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40",
        "--branches cond",
        "--reduce project:64",
        "--reduce frames",
        "--store-dtype fp8",
    ]
    assert list(flags(plan_of(), 70 * GB)) == [
        "--save-steps 0,19",
        "--layers 0,10,20,30,40",
        "--reduce project:64",
        "--reduce frames",
    ]


def test_of_equally_many_layers_those_furthest_apart_are_kept() -> None:
    # Five of 41 layers: every 9th would end at 36, every 10th ends at the last.
    offered = flags(plan_of(), 70 * GB)
    assert "--layers 0,10,20,30,40" in offered


def test_only_if_no_way_is_enough_they_are_combined_and_what_keeps_most_is_offered() -> None:
    plan = plan_of(sites=("resid", "mlp"), num_layers=40, seeds=range(8))
    assert list(flags(plan, 20 * GB)) == ["--reduce frames"]
    offered = flags(plan, 5 * GB)
    assert len(offered) == 1
    (combined, size), *_ = offered.items()
    assert combined.count("--") == 2
    assert size <= 5 * GB
    # There is no pair that fits and keeps more than this one.
    assert flags(plan, size) == offered
    assert flags(plan, size - 1) != offered


def test_fewer_seeds_or_samples_are_offered_too() -> None:
    plan = plan_of(*[WAN_14B] * 3, seeds=[4, 5, 6, 9])
    offered = flags(plan, 5000 * GB)
    assert offered["--seeds 4-6"] == plan.bytes_of(plan.runs()) * 3 // 4
    assert offered["--limit 2"] == plan.bytes_of(plan.runs()) * 2 // 3
    assert not any("--seeds" in way or "--limit" in way for way in flags(plan, 500 * GB))


def test_runs_that_a_store_has_already_are_not_counted() -> None:
    plan = plan_of(*[WAN_14B] * 2, seeds=range(4))
    todo = [("sample-1", 2), ("sample-1", 3)]
    offered = {way.flags: way.size for way in ways_that_fit(NO_STORE, plan, todo, 600 * GB)}
    assert offered["--seeds 0-2"] == plan.run_bytes(plan.samples[1])
    assert "--limit 1" not in offered


def test_a_store_that_is_there_takes_fewer_runs_only(free: Callable[[int], None], tmp_path: Path) -> None:
    (tmp_path / STORE_FILE).touch()
    plan = plan_of(seeds=range(4))
    ways = ways_that_fit(tmp_path, plan, plan.runs(), 2000 * GB)
    assert [way.flags for way in ways] == ["--seeds 0-2"]
    free(GB)
    with pytest.raises(TraceError, match="its store takes no other selection; trace fewer runs, or use"):
        check_space(tmp_path, plan, plan.runs())


def test_a_site_that_is_reduced_already_stays_as_it_is() -> None:
    plan = plan_of(sites=("resid", "mlp"), reductions={"mlp": ("norm", "mean")})
    offered = flags(plan, 300 * GB)
    assert "--reduce resid=project:64" in offered
    assert not any("mlp=" in way for way in offered)
    reduced = plan_of(reductions={"resid": ("tokens:30000",)})
    assert not any("--reduce" in way for way in flags(reduced, 100 * GB))


def test_a_projection_is_never_wider_than_half_of_what_there_is() -> None:
    plan = plan_of(replace(SMALL, grid=(9, 64, 64)), dtype="fp32")
    assert "--reduce project:8" in flags(plan, plan.run_bytes(plan.samples[0]) // 2)


def test_a_smaller_dtype_is_offered_by_size() -> None:
    plan = plan_of(dtype="fp32")
    assert "--store-dtype bf16" in flags(plan, 600 * GB)
    assert "--store-dtype bf16" not in flags(plan, 400 * GB)
    assert "--store-dtype fp8" in flags(plan, 400 * GB)
    assert not any("--store-dtype" in way for way in flags(plan_of(dtype="fp8"), 200 * GB))


def test_a_video_that_is_the_last_straw_can_be_left_out() -> None:
    plan = plan_of(SMALL, num_layers=1)
    assert "--no-video" in flags(plan, plan.run_bytes(plan.samples[0]) - 1)


def test_a_site_never_loses_its_last_layer() -> None:
    # Of layers 0 to 2 every second one is 0 and 2; of the MLP's 1 and 2 there is nothing to leave out.
    plan = plan_of(sites=("resid", "mlp"), num_layers=2)
    layers = [way for way in flags(plan, plan.bytes_of(plan.runs()) - 1) if way.startswith("--layers")]
    assert layers == ["--layers 0,2"]


FLAGS = {
    "--save-steps": lambda text: {"steps": tuple(int(step) for step in text.split(","))},
    "--branches": lambda text: {"branches": (text,)},
    "--reduce": lambda text: {"reductions": {"resid": (text,)}},
    "--store-dtype": lambda text: {"dtype": text},
    "--layers": lambda text: {"layers": {"resid": tuple(int(layer) for layer in text.split(","))}},
    "--seeds": lambda text: {"seeds": tuple(range(int(text.split("-")[-1]) + 1))},
}


@given(
    num_layers=st.integers(1, 12),
    num_steps=st.integers(1, 12),
    num_seeds=st.integers(1, 3),
    dtype=st.sampled_from(["bf16", "fp32", "fp8"]),
    guided=st.booleans(),
    share=st.floats(0, 1.2),
)
def test_whatever_is_offered_fits_and_has_the_size_that_is_said(
    num_layers: int, num_steps: int, num_seeds: int, dtype: str, guided: bool, share: float
) -> None:
    plan = plan_of(
        replace(SMALL, grid=(9, 32, 32), num_steps=num_steps),
        num_layers=num_layers,
        dtype=dtype,
        branches=("cond", "uncond") if guided else ("cond",),
        seeds=range(num_seeds),
        save_video=False,
    )
    space = int(plan.bytes_of(plan.runs()) * share)
    ways = ways_that_fit(NO_STORE, plan, plan.runs(), space)
    assert ways == ways_that_fit(NO_STORE, plan, plan.runs(), space)
    for way in ways:
        words = way.flags.split(" ")
        fields = {}
        for flag, text in zip(words[::2], words[1::2], strict=True):
            # Steps and layers may be written as ranges.
            assert flag in FLAGS
            fields |= FLAGS[flag](_unfolded(text) if flag in ("--save-steps", "--layers") else text)
        smaller = replace(plan, **fields)
        assert smaller.bytes_of(smaller.runs()) == way.size <= space


def _unfolded(text: str) -> str:
    numbers: list[int] = []
    for item in text.split(","):
        first, _, last = item.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return ",".join(map(str, numbers))


def test_what_fits_is_not_refused(free: Callable[[int], None], tmp_path: Path) -> None:
    plan = plan_of(SMALL)
    free(plan.bytes_of(plan.runs()))
    check_space(tmp_path, plan, plan.runs())


def test_the_refusal_names_the_sizes_and_what_to_type(free: Callable[[int], None], tmp_path: Path) -> None:
    free(70 * GB)
    plan = plan_of()
    with pytest.raises(TraceError) as raised:
        check_space(tmp_path / "not" / "there" / "yet", plan, plan.runs())
    assert str(raised.value).splitlines() == [
        f"no space: 1 run would take 551 GB, {tmp_path} has 70.0 GB free; " + OFFER,
        "  --save-steps 0,19       55.5 GB",
        "  --layers 0,10,20,30,40  67.6 GB",
        "  --reduce project:64     7.3 GB",
        "  --reduce frames         804 MB",
    ]


def test_sizes_that_look_alike_are_given_to_the_byte(free: Callable[[int], None], tmp_path: Path) -> None:
    plan = plan_of()
    needed = plan.bytes_of(plan.runs())
    free(needed - 1)
    with pytest.raises(TraceError, match=f"would take {needed:,} bytes, .* has {needed - 1:,} free"):
        check_space(tmp_path, plan, plan.runs())


def test_compressed_runs_are_said_to_be_bounded(free: Callable[[int], None], tmp_path: Path) -> None:
    free(70 * GB)
    plan = plan_of(compression="zstd")
    with pytest.raises(TraceError, match="1 run would take at most 551 GB"):
        check_space(tmp_path, plan, plan.runs())


@pytest.mark.parametrize(
    ("seeds", "advice"), [(1, "either; use another disk"), (2, "either; trace fewer runs, or")]
)
def test_a_disk_that_takes_nothing_is_to_be_changed(
    seeds: int, advice: str, free: Callable[[int], None], tmp_path: Path
) -> None:
    free(1000)
    plan = plan_of(seeds=range(seeds))
    with pytest.raises(TraceError, match=f"no smaller selection fits {advice}"):
        check_space(tmp_path, plan, plan.runs())
