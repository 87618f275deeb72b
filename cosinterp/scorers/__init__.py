"""Tasks whose answer can be read off a video, by the name that a sample's truth gives them.

A sample with `truth["task"] == "maze"` is scored by `MazeTask`. To score a task of your own, give
`register` an object with the members of `Task`; `cosinterp.scoring` and the commands then treat it like the
maze.
"""

from cosinterp.scorers.mazes import MazeTask
from cosinterp.scorers.registry import known_tasks, read_answer, readings_of, register, task_of
from cosinterp.scorers.scenes import GroundingTask, PermanenceTask
from cosinterp.scorers.task import Frames, Readable, Task
from probes.scores import Metric, Reading

__all__ = [
    "Frames",
    "GroundingTask",
    "MazeTask",
    "Metric",
    "PermanenceTask",
    "Readable",
    "Reading",
    "Task",
    "known_tasks",
    "read_answer",
    "readings_of",
    "register",
    "task_of",
]

for _task in (MazeTask(), PermanenceTask(), GroundingTask()):
    register(_task)
