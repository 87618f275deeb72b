"""Who does what in a team of actors, and what happens when one is lost; threads stand in for Ray's actors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError

from cosinterp.ensembles.actors import team as team_module
from cosinterp.ensembles.actors.actor import Outcome, SeedActor
from cosinterp.ensembles.actors.driving import Driving
from cosinterp.ensembles.actors.hall import Hall
from cosinterp.ensembles.actors.team import Team
from cosinterp.ensembles.rendezvous import Released
from cosinterp.errors import UserError
from cosinterp.executors.executor import WorkerError

SOON = 10
Do = Callable[["Place"], object]


class Place:
    """What an actor's part of a task sees."""

    def __init__(self, hall: Hall, number: int, member: int, members: int, is_again: bool) -> None:
        self.hall, self.number, self.member, self.members = hall, number, member, members
        self.is_again = is_again

    def meet(self) -> None:
        """Wait for the others."""
        among = tuple(range(self.members))
        if self.member:
            self.hall.follow(self.number, (0, "x", 0), self.member, None)
        else:
            self.hall.gather(self.number, (0, "x", 0), 0, among, None)
            self.hall.decide(self.number, (0, "x", 0), None)


class Actor:
    """Stands in for a `SeedActor`."""

    def is_there(self) -> bool:
        return True

    def load(self, recipe: Any, wanted: Any, device: Any) -> Outcome:
        return recipe()

    def do(self, part: Do, place: Place) -> Outcome:
        try:
            part(place)
        except Released:
            return Outcome(is_released=True)
        except UserError as error:
            place.hall.release(place.number, str(error))
            return Outcome(str(error), is_users=True)
        return Outcome()


class Handle:
    """Calls an object's methods in threads."""

    def __init__(self, made: Any, threads: ThreadPoolExecutor) -> None:
        self.made, self._threads = made, threads

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(
            remote=lambda *arguments: self._threads.submit(getattr(self.made, name), *arguments)
        )


class Threads:
    """What of Ray is used, by threads.

    ``actors`` are made one after another, of those that are given; then of `Actor`.
    """

    def __init__(self, room: int) -> None:
        self.threads = ThreadPoolExecutor(64)
        self.room, self.actors = room, list[Any]()
        self.handles: list[Handle] = []
        self.killed: list[Handle] = []

    def remote(self, kind: type) -> Any:
        def start(*arguments: Any) -> Handle:
            made = kind() if kind is not SeedActor else self.actors.pop(0) if self.actors else Actor()
            self.handles.append(Handle(made, self.threads))
            return self.handles[-1]

        made = SimpleNamespace(remote=start)
        made.options = lambda **options: made
        return made

    def wait(
        self, references: Sequence[Future[Any]], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Future[Any]], list[Future[Any]]]:
        if not references:
            raise ValueError("as Ray does")
        if num_returns == 1:
            wait(references, timeout, FIRST_COMPLETED)
        else:
            wait(references, timeout)
        done = [one for one in references if one.done()]
        return done, [one for one in references if not one.done()]

    def get(self, reference: Any) -> Any:
        return reference.result(SOON)

    def kill(self, handle: Handle) -> None:
        self.killed.append(handle)

    def fits(self, resources: Mapping[str, float]) -> int:
        return self.room

    def beside_driver(self) -> None:
        return None


class Task:
    """Parts that are done by so many actors."""

    def __init__(self, members: int, part: Do, name: str = "maze-1") -> None:
        self.name, self.members, self._part = name, members, part
        self.begun: list[int] = []
        self.heard: list[object] = []
        self.is_over = False
        self.has_ended = False

    def is_done(self) -> bool:
        return self.is_over

    def begin(self, actors: Sequence[Any], hall: Any, number: int, is_again: bool) -> list[Any]:
        self.begun.append(len(actors))
        return [
            actor.do.remote(self._part, Place(hall.made, number, member, len(actors), is_again))
            for member, actor in enumerate(actors)
        ]

    def told(self, message: object) -> None:
        self.heard.append(message)

    def ended(self) -> None:
        assert not self.has_ended
        self.has_ended = True


@pytest.fixture
def ray() -> Iterator[Threads]:
    made = Threads(room=2)
    yield made
    made.threads.shutdown(wait=False)


def team_of(
    ray: Threads, most: int = 4, recipe: Callable[[], Outcome] = Outcome, note: Any = lambda text: None
) -> Team:
    cluster = SimpleNamespace(
        ray=ray, fits=ray.fits, beside_driver=ray.beside_driver, name="the Ray of this test"
    )
    executor: Any = SimpleNamespace(connect=lambda: cluster, device=None, resources={"CPU": 1, "GPU": 1})
    given: Any = recipe
    return Team(executor, given, {}, most, note)


def run(ray: Threads, *tasks: Task, most: int = 4) -> Team:
    with team_of(ray, most) as team, Driving(team) as driving:
        driving.run(tasks)
    return team


def lost() -> None:
    raise RayActorError


@pytest.mark.parametrize(("room", "members", "size"), [(2, 3, 2), (4, 3, 3), (1, 3, 1), (4, 1, 1)])
def test_a_task_is_done_by_as_many_actors_as_it_is_for_and_as_there_are(room, members, size, ray):
    ray.room = room
    task = Task(members, lambda place: place.meet())
    run(ray, task, most=members)
    assert task.begun == [size]
    assert task.has_ended
    # And all of them end, with the hall.
    assert len(ray.killed) == len(ray.handles) == min(room, members) + 1


def test_tasks_are_done_at_the_same_time_where_there_are_actors_for_it(ray):
    """Two of two each by four actors: each waits for the other."""
    ray.room = 4
    both = threading.Barrier(4)
    tasks = [Task(2, lambda place: both.wait(SOON)) for _ in range(2)]
    run(ray, *tasks)
    assert [task.begun for task in tasks] == [[2], [2]]
    assert all(task.has_ended for task in tasks)


def test_what_actors_tell_is_told_to_their_task(ray):
    tasks = [Task(1, lambda place, own=own: place.hall.tell(place.number, own)) for own in ("a", "b", "c")]
    run(ray, *tasks)
    assert [task.heard for task in tasks] == [["a"], ["b"], ["c"]]


def test_when_an_actor_is_lost_the_other_is_released_and_both_begin_again(ray):
    seen: list[bool] = []

    def part(place: Place) -> None:
        seen.append(place.is_again)
        if place.member == 0 and not place.is_again:
            lost()
        place.meet()

    task = Task(2, part)
    run(ray, task)
    assert task.begun == [2, 2]
    assert seen.count(True) == 2
    assert task.has_ended
    # Three actors, one in place of the lost one, and the hall.
    assert len(ray.handles) == 4


def test_where_there_is_no_other_actor_those_that_are_left_go_on(ray):
    def part(place: Place) -> None:
        if place.member == 1:
            ray.room = 1
            lost()
        place.meet()

    task = Task(2, part)
    run(ray, task)
    assert task.begun == [2, 1]
    assert task.has_ended


def test_a_task_whose_actors_are_lost_again_and_again_is_given_up(ray):
    task = Task(2, lambda place: lost() if place.member else place.meet())
    with pytest.raises(WorkerError, match="maze-1: actors were lost 3 times; at last: .+"):
        run(ray, task)
    assert task.begun == [2, 2, 2]
    assert not task.has_ended


def test_what_was_done_before_an_actor_was_lost_is_not_done_again(ray):
    def part(place: Place) -> None:
        task.is_over = True
        lost()

    task = Task(1, part)
    run(ray, task)
    assert task.begun == [1]
    assert task.has_ended


def test_an_error_of_one_actor_releases_the_others_and_ends_all(ray):
    released: list[str] = []

    def part(place: Place) -> None:
        if place.member == 1:
            raise UserError("out of GPU memory at step 3; use --chunk 1")
        try:
            place.meet()
        except Released as error:
            released.append(str(error))
            raise

    first, second = Task(2, part), Task(2, part)
    with pytest.raises(UserError, match="out of GPU memory at step 3; use --chunk 1"):
        run(ray, first, second)
    assert released == ["out of GPU memory at step 3; use --chunk 1"]
    assert second.begun == []
    assert not first.has_ended


def test_when_the_driver_is_interrupted_actors_clean_up_before_they_end(ray):
    cleaned = threading.Event()

    class Interrupted(Task):
        def told(self, message: object) -> None:
            raise KeyboardInterrupt

    def part(place: Place) -> None:
        place.hall.tell(place.number, "begun")
        try:
            place.hall.follow(place.number, (0, "x", 0), 0, None)
        finally:
            assert ray.killed == []
            cleaned.set()

    with pytest.raises(KeyboardInterrupt):
        run(ray, Interrupted(1, part))
    assert cleaned.is_set()
    assert len(ray.killed) == len(ray.handles)


def test_a_model_that_cannot_be_loaded_is_said(ray):
    def recipe() -> Outcome:
        return Outcome("no such model", is_users=True)

    with team_of(ray, recipe=recipe) as team, pytest.raises(UserError, match="no such model"):
        team.fill()
    assert len(ray.killed) == len(ray.handles)


def test_actors_that_are_lost_while_they_load_are_hired_again_but_not_for_ever(ray):
    tries: list[int] = []

    def recipe() -> Outcome:
        tries.append(1)
        raise RayActorError

    ray.room = 1
    with (
        team_of(ray, recipe=recipe) as team,
        pytest.raises(WorkerError, match="lost 3 times while they load"),
    ):
        team.fill()
    assert len(tries) == 3


class Late(Actor):
    """An actor that Ray has no place for, until it is told to begin."""

    def __init__(self) -> None:
        self.begin = threading.Event()

    def is_there(self) -> bool:
        return self.begin.wait(SOON)


def test_an_actor_that_does_not_come_is_not_waited_for_where_another_one_is(ray, monkeypatch):
    monkeypatch.setattr(team_module, "_PATIENCE", 0.1)
    late = Late()
    ray.actors = [Actor(), late]
    with team_of(ray) as team:
        team.fill()
        assert len(team.actors) == 1
        late.begin.set()


def test_the_first_actor_is_waited_for_and_that_is_said(ray, monkeypatch):
    monkeypatch.setattr(team_module, "_PATIENCE", 0.1)
    late = Late()
    ray.room, ray.actors = 1, [late]
    noted: list[str] = []

    def note(text: str) -> None:
        noted.append(text)
        late.begin.set()

    with team_of(ray, note=note) as team:
        team.fill()
        assert len(team.actors) == 1
    assert noted == ["waiting for the Ray of this test: what it has is in use"]
