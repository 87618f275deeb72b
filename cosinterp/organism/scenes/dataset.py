"""Scenes as a dataset folder, in the layout of VBVR-Bench that `cosinterp.samples.load_dataset` reads."""

from __future__ import annotations

from pathlib import Path

from cosinterp.errors import UserError
from cosinterp.organism.dataset import write_sample
from cosinterp.organism.mazes import Split
from cosinterp.organism.scenes.rendering import colour
from cosinterp.organism.scenes.tasks import PROMPTS, WORDINGS, Scene, generate_scene

OWN = "own"


def write_scenes(
    folder: Path,
    *,
    task: str,
    count: int,
    seed: int = 0,
    pairs: bool = False,
    split: Split = "test",
    paraphrase: int = 0,
) -> list[Path]:
    """Write scenes ``seed``, ``seed + 1``, ... of a task as samples; returns their folders.

    A sample lies in ``folder/TASK/NUMBER``, where TASK is ``permanence`` or ``grounding``. With ``pairs``
    each scene is written as ``TASK-own``, and once more for each thing that can be changed in it:
    ``permanence-colour`` (the ball's colour), ``permanence-course`` (its first row, or how it climbs),
    ``grounding-named`` (the block that the prompt names). A sample that is already there is left alone.

    Args:
        folder: made if missing.
        task: "permanence" or "grounding".
        count: scenes.
        seed: the first scene's number.
        pairs: also write each scene's counterfactuals.
        split: held-out scenes ("test") or those that training may have seen ("train").
        paraphrase: which wording of the prompt, 0 to 4.

    Raises:
        UserError: an unknown task, or a number out of range.
        SampleError: a sample's folder holds something else.
    """
    if count < 1:
        raise UserError(f"the count of scenes is 1 or more, not {count}")
    if not 0 <= paraphrase < WORDINGS:
        raise UserError(f"there are paraphrases 0-{WORDINGS - 1} of the prompt, not {paraphrase}")
    written = []
    for number in range(seed, seed + count):
        for name, scene in _named(generate_scene(task, number, split), pairs):
            target = folder / name / f"{number:05d}"
            about = {"seed": number, "split": split, "scenes": name}
            prompt = PROMPTS[scene.kind][paraphrase]
            write_sample(target, colour(scene.cells()), prompt, about, scene.truth())
            written.append(target)
    return written


def _named(scene: Scene, pairs: bool) -> list[tuple[str, Scene]]:
    """The scene, with its counterfactuals if wanted, and the names of the folders that they go to."""
    task = scene.task + ("-train" if scene.split == "train" else "")
    if not pairs:
        return [(task, scene)]
    changed = [(f"{task}-{what}", other) for what, other in scene.counterfactuals().items()]
    return [(f"{task}-{OWN}", scene), *changed]
