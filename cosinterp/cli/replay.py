"""``cosinterp replay``: make one stored run again, as it was or changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli import sweep_options as flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.store_model import StoreModelFlags
from cosinterp.cli.store_options import AsJson, StorePath
from cosinterp.cli.sweep_flags import dataset_samples

if TYPE_CHECKING:
    from cosinterp.interventions.intervention import Intervention
    from cosinterp.models.model import Model
    from cosinterp.replaying.replay import Replayed
    from stores import Run

_RUN, _CHANGE = flags.RUNS, flags.WHERE
_MOST_FRAMES = 8
PICTURE, VIDEO = "replayed.png", "replayed.mp4"


@with_groups
def replay(
    store: StorePath,
    *,
    sample: Annotated[str, typer.Option(help="Which sample.", rich_help_panel=_RUN, show_default=False)],
    seed: Annotated[int, typer.Option(help="Which seed.", min=0, rich_help_panel=_RUN)] = 0,
    from_step: Annotated[
        int, typer.Option(help="The first step that is computed; -1 is the last.", rich_help_panel=_RUN)
    ] = 0,
    to_step: Annotated[
        int | None,
        typer.Option(
            help="The last step that is computed.", rich_help_panel=_RUN, show_default="the run's last"
        ),
    ] = None,
    dataset: flags.Dataset = None,
    intervention: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JSON",
            help='What is changed, as in {"layers": \\[4], "steps": \\[0], "what": {"kind": "zero"}}; '
            "or @FILE. Give it again for more.",
            rich_help_panel=_CHANGE,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Write {PICTURE} (the clean estimates) and {VIDEO} into this folder.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
    model: StoreModelFlags,
) -> None:
    """Make a stored run again from any step on, as it was or changed.

    Steps before the first are not computed: the scheduler is given their stored predictions. Without an
    intervention the result has to be the stored run, bit for bit; if it is not, the exit code is 1.
    """
    from cosinterp.cli.console import err, print_json
    from cosinterp.cli.console import out as results
    from cosinterp.replaying.replay import replay as make_again
    from stores import open_store

    changes = [_intervention(text) for text in intervention or ()]
    samples = dataset_samples(dataset)
    opened = open_store(store)
    with opened.run(sample, seed) as run:
        prepared = model.prepare(opened)
        _check(prepared.model, run, changes)
        loaded = options.load_weights(prepared)
        with err().status(f"replaying {sample} seed {seed}"):
            made = make_again(
                loaded,
                opened,
                sample,
                seed,
                from_step=from_step,
                to_step=to_step,
                interventions=changes,
                samples=samples,
            )
        files = [] if out is None else write_pictures(loaded, run, made, out, bool(changes))
        if as_json:
            print_json(as_data(run, made, changes, files))
        else:
            for line in lines_of(run, made, bool(changes)):
                results().print(line, markup=False, soft_wrap=True)
            for path in files:
                results().print(str(path), markup=False, soft_wrap=True)
    if not changes and not made.exact:
        raise typer.Exit(1)


def lines_of(run: Run, made: Replayed, is_changed: bool) -> list[str]:
    """What a replay came to, in words: how far each step is from the stored one."""
    steps = sorted(made.differences)
    span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]}-{steps[-1]}"
    lines = [f"{run.sample} seed {run.seed}: {span} of {run.num_steps}, {made.blocks} block evaluations"]
    if made.exact:
        same = "the stored run, bit for bit"
        lines.append(f"{same}: the interventions changed nothing" if is_changed else same)
        return lines
    lines.append(f"{'step':<6} largest difference of the prediction from the stored one")
    lines += [f"{step:<6} {_told(made.differences[step])}" for step in steps]
    if made.final_difference is not None:
        lines.append(f"{'final':<6} {_told(made.final_difference)}")
    if not is_changed:
        worst = max([*made.differences.values(), made.final_difference or 0.0])
        lines.append(
            f"not the stored run: it differs by up to {worst:.3g}. It was made on {run.attrs['device']}; "
            "another device, number of threads (OMP_NUM_THREADS) or version of torch rounds differently."
        )
    return lines


def as_data(run: Run, made: Replayed, changes: list[Intervention], files: list[Path]) -> dict[str, Any]:
    """What a replay came to, as JSON takes it."""
    return {
        "sample": run.sample,
        "seed": run.seed,
        "exact": made.exact,
        "interventions": [one.model_dump(mode="json", exclude_none=True) for one in changes],
        "differences": {str(step): value for step, value in sorted(made.differences.items())},
        "final_difference": made.final_difference,
        "blocks": made.blocks,
        "files": [str(path) for path in files],
    }


def write_pictures(model: Model, run: Run, made: Replayed, folder: Path, is_changed: bool) -> list[Path]:
    """The clean estimates as a picture, steps downwards, and the video that the replay ended with."""
    from cosinterp.decoding import SMALL_VIDEO, playing_rate
    from cosinterp.media_files import replace, write_video
    from probes.figures import pictures

    folder.mkdir(parents=True, exist_ok=True)
    rows, numbers = [], []
    for step in sorted(made.clean):
        video = model.decode(made.clean[step], made.num_frames)
        numbers = pictures.choose_frames(len(video), _MOST_FRAMES)
        note = f"σ {run.schedule.sigma[step]:.3f}"
        rows.append(pictures.StripRow(f"step {step}", note, video[numbers]))
    picture = pictures.film_strip(
        rows,
        title=f"{run.sample}, seed {run.seed}, {'changed' if is_changed else 'replayed'}",
        caption=[f"Prompt: {run.prompt}", "Each row is the clean estimate at that step, decoded."],
        frame_numbers=numbers,
    )
    replace(folder / PICTURE, lambda path: picture.save(path, format="PNG"))
    video = made.video(model)
    write_video(pictures.enlarge(video, SMALL_VIDEO), folder / VIDEO, playing_rate(len(video)))
    return [folder / PICTURE, folder / VIDEO]


def _intervention(text: str) -> Intervention:
    """The intervention of a flag. Raises InterventionError: it is none, or its file cannot be read."""
    from cosinterp.errors import InterventionError
    from cosinterp.interventions.intervention import Intervention

    if not text.startswith("@"):
        return Intervention.of(text)
    try:
        return Intervention.of(Path(text[1:]).read_text())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it holds no text"
        raise InterventionError(f"--intervention {text}: cannot be read: {why}") from error


def _check(model: Model, run: Run, changes: list[Intervention]) -> None:
    from cosinterp.interventions.checking import check_intervention

    for one in changes:
        check_intervention(one, model.anatomy, run.attrs["sampling"])


def _told(difference: float) -> str:
    return f"{difference:.3g}" if difference else "0"
