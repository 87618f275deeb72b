"""Which calls of a replay run, which are answered, and by what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from cosinterp.models.anatomy import Anatomy
from cosinterp.replaying.skips import Anchor, Forms, Skips, needed_blocks
from cosinterp.steps import Call
from tests.unit.models.test_anatomy import WAN_14B

LAYERS, ROWS = 5, 2
START = 3


def stacked(*counts: int) -> Anatomy:
    """An anatomy with stacks of so many blocks."""
    (stack,) = WAN_14B.stacks
    stacks = [replace(stack, blocks=f"blocks_{index}", count=count) for index, count in enumerate(counts)]
    return replace(WAN_14B, stacks=tuple(stacks))


def skips(anchor: Anchor | None = None, **more: Any) -> Skips:
    settings: dict[str, Any] = {"start": START, "answered": True, "forms": Forms(), "rows": ROWS, **more}
    return Skips(anatomy=stacked(2, 3), device=torch.device("cpu"), anchor=anchor, **settings)


def calls(step: int, *branches: str) -> tuple[Call, ...]:
    return tuple(Call(step, branch, 0) for branch in branches)


@pytest.mark.parametrize(
    ("counts", "layer", "needed"),
    [
        ((4,), 0, ()),
        ((4,), 1, (1,)),
        ((4,), 4, (4,)),
        ((2, 3), 1, (1,)),
        ((2, 3), 2, (2,)),
        ((2, 3), 3, (2, 3)),
        ((2, 3), 5, (2, 5)),
        ((2, 3, 1), 5, (2, 5)),
        ((2, 3, 1), 6, (2, 5, 6)),
    ],
)
def test_going_on_takes_the_last_block_and_that_of_each_stack_before(
    counts: tuple[int, ...], layer: int, needed: tuple[int, ...]
) -> None:
    assert needed_blocks(layer, stacked(*counts)) == needed


def test_an_anchor_gives_what_is_needed_of_a_call() -> None:
    anchor = Anchor(START, blocks={("cond",): {2: "second", 4: "fourth"}, ("uncond",): {4: "other"}})
    anatomy = stacked(2, 3)
    assert anchor.resumable(("cond",), 0, anatomy) == {}
    assert anchor.resumable(("cond",), 4, anatomy) == {2: "second", 4: "fourth"}


def test_calls_before_the_start_are_answered_by_anything_of_their_form() -> None:
    known = skips()
    doubled, single = calls(0, "uncond", "cond"), calls(1, "cond")
    # The first of each form has to run.
    assert known.output_of(doubled) is None
    output = (torch.ones(4, 3),)
    known.denoiser_ran(doubled, output)
    output[0].zero_()
    (answer,) = known.output_of(calls(1, "uncond", "cond"))  # type: ignore[misc]
    assert torch.equal(answer, torch.ones(4, 3))
    assert known.output_of(single) is None
    assert known.output_of(calls(START, "uncond", "cond")) is None
    assert known.blocks == LAYERS * ROWS * len(doubled)


def test_calls_before_the_start_run_where_there_is_no_answer() -> None:
    forms = Forms()
    forms.keep(1, ROWS, torch.ones(ROWS))
    assert skips(forms=forms).output_of(calls(0, "cond")) is not None
    assert skips(answered=False, forms=forms).output_of(calls(0, "cond")) is None


def test_a_form_serves_other_numbers_of_rows() -> None:
    forms = Forms()
    forms.keep(2, 3, (torch.randn(6, 4, 5), "text", torch.randn(6, 2)))
    for rows in (1, 2, 3, 7):
        video, text, audio = forms.output(2, rows)  # type: ignore[misc]
        assert (video.shape, text, audio.shape) == ((2 * rows, 4, 5), "text", (2 * rows, 2))
    assert forms.output(1, 3) is None


def test_a_form_whose_rows_cannot_be_told_serves_its_own_number_alone() -> None:
    forms = Forms()
    forms.keep(1, 2, torch.randn(1, 4))
    assert forms.output(1, 2) is not None
    assert forms.output(1, 1) is None


def test_calls_of_the_first_step_that_nothing_changes_are_answered_by_the_anchor() -> None:
    kept = torch.randn(2, 3)
    anchor = Anchor(START, outputs={("uncond",): (kept,), ("uncond", "cond"): (kept,)})
    known = skips(anchor, changes=lambda call: call.branch == "cond")
    (answer,) = known.output_of(calls(START, "uncond"))  # type: ignore[misc]
    assert torch.equal(answer, kept)
    # Whoever gets it may write into it.
    answer.zero_()
    assert kept.any()
    assert known.output_of(calls(START, "cond")) is None
    assert known.output_of(calls(START, "uncond", "cond")) is None
    assert known.output_of(calls(START + 1, "uncond")) is None


def test_blocks_are_skipped_at_the_first_step_alone_and_not_counted() -> None:
    blocks = {2: (torch.randn(2, 3), None), 4: (torch.randn(2, 3), "text")}
    known = skips(Anchor(START, blocks={("cond",): blocks}), resume=4)
    for step in (START - 1, START + 1):
        assert known.resumed(calls(step, "cond")) == {}
    found = known.resumed(calls(START, "cond"))
    assert list(found) == [2, 4]
    for layer, (kept, rest) in blocks.items():
        assert torch.equal(found[layer][0], kept)
        assert found[layer][1] == rest
        found[layer][0].zero_()
        assert kept.any()
    known.denoiser_ran(calls(START, "cond"), torch.ones(1))
    assert known.blocks == (LAYERS - 4) * ROWS
    known.denoiser_ran(calls(START + 1, "cond"), torch.ones(1))
    assert known.blocks == (LAYERS - 4 + LAYERS) * ROWS


def test_an_anchor_is_filled_at_its_step_with_copies() -> None:
    made = Anchor(START)
    known = skips(keep=made, keep_layers=frozenset({2, 4}))
    assert known.watched_blocks(calls(START, "cond")) == {2, 4}
    assert known.watched_blocks(calls(START + 1, "cond")) == frozenset()
    block, output = torch.ones(2, 3), torch.ones(2)
    known.block_ran(calls(START, "cond"), 2, (block, "text"))
    known.denoiser_ran(calls(START, "cond"), output)
    known.denoiser_ran(calls(START + 1, "uncond"), output)
    block.zero_()
    output.zero_()
    kept, rest = made.blocks["cond",][2]
    assert torch.equal(kept, torch.ones(2, 3))
    assert rest == "text"
    assert list(made.outputs) == [("cond",)]
    assert torch.equal(made.outputs["cond",], torch.ones(2))


def test_nothing_is_skipped_or_kept_without_an_anchor() -> None:
    known = skips()
    assert known.resumed(calls(START, "cond")) == {}
    assert known.watched_blocks(calls(START, "cond")) == frozenset()
    assert known.output_of(calls(START, "cond")) is None
