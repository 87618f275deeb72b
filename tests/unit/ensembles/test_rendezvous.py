"""Members that meet: each gives, one decides, all get it, and nobody waits for one that will not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import torch

from cosinterp.ensembles.company import ALONE, Place, blocks, members_of
from cosinterp.ensembles.member import Member
from cosinterp.ensembles.rendezvous import Decided, Given, Released, Rendezvous

NUMBER = 7
SOON = 10
PARTS = ((0, 1), (2,), (3,))
ALL = (0, 1, 2, 3)
PLACE: Place = (0, "latent", 0)


@pytest.fixture
def rendezvous() -> Rendezvous:
    made = Rendezvous()
    made.begin(NUMBER)
    return made


@pytest.fixture
def beside(rendezvous: Rendezvous) -> Iterator[Callable[..., Future[Any]]]:
    """Calls something in a thread beside."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit
        # Or the threads of a test that fails would be waited for.
        rendezvous.end(NUMBER)


def members(rendezvous: Rendezvous) -> list[Member]:
    return [Member(rendezvous, NUMBER, PARTS, member) for member in range(len(PARTS))]


def has_come(rendezvous: Rendezvous, count: int, place: Place = PLACE) -> None:
    """Wait until so many have given something at a place."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        meeting = rendezvous._companies[NUMBER].meetings.get(place)
        if meeting is not None and len(meeting.given) == count:
            return
        time.sleep(0.001)
    raise AssertionError(f"{count} have not come")


def joined(parts: list[str]) -> str:
    return " ".join(parts)


@pytest.mark.parametrize(
    ("rows", "count", "expected"),
    [
        (3, 2, ((0, 1), (2,))),
        (3, 5, ((0,), (1,), (2,))),
        (8, 3, ((0, 1, 2), (3, 4, 5), (6, 7))),
        (4, 1, ((0, 1, 2, 3),)),
    ],
)
def test_rows_are_shared_in_blocks_that_follow_each_other(rows, count, expected):
    assert blocks(rows, count) == expected


@pytest.mark.parametrize(("rows", "count"), [(0, 2), (3, 0)])
def test_nothing_cannot_be_shared(rows, count):
    with pytest.raises(ValueError, match="cannot be shared"):
        blocks(rows, count)


def test_those_meet_who_have_rows_that_go_on():
    assert members_of(PARTS, ALL) == (0, 1, 2)
    assert members_of(PARTS, (1, 3)) == (0, 2)
    assert members_of(PARTS, (2,)) == (1,)


def test_all_get_what_the_first_decides_of_all_in_their_order(rendezvous, beside):
    decided: list[list[str]] = []

    def decide(parts: list[str]) -> str:
        decided.append(parts)
        return joined(parts)

    # The last comes first.
    come = []
    for count, member in enumerate(reversed(members(rendezvous))):
        come.append(beside(member.meet, PLACE, ALL, f"of {2 - count}", decide))
        if count < 2:
            has_come(rendezvous, count + 1)
    assert [one.result(SOON) for one in come] == ["of 0 of 1 of 2"] * 3
    assert decided == [["of 0", "of 1", "of 2"]]


def test_who_has_no_row_that_goes_on_is_not_waited_for(rendezvous, beside):
    _, second, third = members(rendezvous)
    come = [beside(one.meet, PLACE, (2, 3), own, joined) for one, own in ((second, "b"), (third, "c"))]
    assert [one.result(SOON) for one in come] == ["b c"] * 2


def test_who_has_all_rows_that_go_on_decides_at_once(rendezvous):
    assert members(rendezvous)[0].meet(PLACE, (0, 1), "own", joined) == "own"
    assert ALONE.meet(PLACE, (0, 1), "own", joined) == "own"


def test_others_are_shown_copies_on_the_host(rendezvous, beside):
    own = torch.ones(2, 3)
    first, second, _ = members(rendezvous)
    follows = beside(second.meet, PLACE, (0, 2), own, torch.cat)
    has_come(rendezvous, 1)
    own.zero_()
    merged = first.meet(PLACE, (0, 2), torch.full((1, 3), 2.0), torch.cat)
    assert torch.equal(merged, torch.tensor([[2.0] * 3, [1.0] * 3, [1.0] * 3]))
    assert torch.equal(follows.result(SOON), merged)


def test_who_comes_to_a_place_again_gets_what_was_decided(rendezvous, beside):
    first, second, _ = members(rendezvous)
    follows = beside(second.meet, PLACE, (0, 2), "b", joined)
    assert first.meet(PLACE, (0, 2), "a", joined) == follows.result(SOON) == "a b"

    def never(parts: list[str]) -> str:
        raise AssertionError("it was decided")

    assert first.meet(PLACE, (0, 2), "other", never) == "a b"
    assert second.meet(PLACE, (0, 2), "other", never) == "a b"


def test_what_was_decided_is_kept_until_all_are_further(rendezvous):
    rendezvous.leave(NUMBER, PLACE, 1, "b")
    assert isinstance(rendezvous.gather(NUMBER, PLACE, 0, (0, 1), "a"), Given)
    rendezvous.decide(NUMBER, PLACE, "a b")
    assert rendezvous.gather(NUMBER, PLACE, 0, (0, 1), "a") == Decided("a b")
    later: Place = (1, "latent", 0)
    rendezvous.leave(NUMBER, later, 1, "b")
    rendezvous.decide(NUMBER, later, "more")
    assert list(rendezvous._companies[NUMBER].meetings) == [later]


def test_who_has_stopped_gives_what_it_has_and_does_not_wait(rendezvous, beside):
    """The first has stopped; of those who go on, the first decides of what all have."""
    first, second, third = members(rendezvous)
    assert first.conclude(PLACE, (2, 3), 1, sum) is None
    follows = beside(third.conclude, PLACE, (2, 3), 4, sum)
    has_come(rendezvous, 2)
    assert second.conclude(PLACE, (2, 3), 2, sum) == follows.result(SOON) == 7


@pytest.mark.parametrize("waiting", [0, 1])
def test_when_one_fails_the_others_are_released_with_its_error(waiting, rendezvous, beside):
    waits = beside(members(rendezvous)[waiting].meet, PLACE, ALL, "own", joined)
    has_come(rendezvous, 1)
    rendezvous.release(NUMBER, "out of memory")
    with pytest.raises(Released, match="out of memory"):
        waits.result(SOON)
    # Also who comes later; the first reason is the one.
    rendezvous.release(NUMBER, "something else")
    for call in (
        lambda: members(rendezvous)[2].meet(PLACE, ALL, "own", joined),
        lambda: members(rendezvous)[2].conclude(PLACE, (0,), "own", joined),
        lambda: rendezvous.decide(NUMBER, PLACE, "late"),
        lambda: rendezvous.check(NUMBER),
    ):
        with pytest.raises(Released, match="out of memory"):
            call()


def test_who_waits_in_what_has_ended_is_released(rendezvous, beside):
    waits = beside(members(rendezvous)[1].meet, PLACE, ALL, "own", joined)
    has_come(rendezvous, 1)
    rendezvous.begin(NUMBER + 1)
    rendezvous.end(NUMBER)
    with pytest.raises(Released, match="ended"):
        waits.result(SOON)
    with pytest.raises(Released, match="ended"):
        rendezvous.check(NUMBER)
    rendezvous.check(NUMBER + 1)


def test_companies_do_not_mix(rendezvous, beside):
    rendezvous.begin(NUMBER + 1)
    follows = beside(members(rendezvous)[1].meet, PLACE, (0, 2), "b", joined)
    elsewhere = beside(Member(rendezvous, NUMBER + 1, PARTS, 1).meet, PLACE, (0, 2), "d", joined)
    assert members(rendezvous)[0].meet(PLACE, (0, 2), "a", joined) == "a b"
    assert Member(rendezvous, NUMBER + 1, PARTS, 0).meet(PLACE, (0, 2), "c", joined) == "c d"
    assert (follows.result(SOON), elsewhere.result(SOON)) == ("a b", "c d")
