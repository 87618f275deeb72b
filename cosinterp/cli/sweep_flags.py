"""Flags that the commands on sweeps of interventions take together; see `cosinterp.cli.flag_groups`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cosinterp.cli import sweep_options as flags
from cosinterp.cli.store_options import AsJson

if TYPE_CHECKING:
    from cosinterp.patching.grid import Grid
    from cosinterp.patching.pairs import Pair
    from cosinterp.patching.sweep import SweepOptions
    from cosinterp.samples import Sample
    from stores import Store


@dataclass(frozen=True)
class PairFlags:
    """Which donors and which recipients."""

    donor: Annotated[
        str,
        typer.Option(
            help="The sample that activations come from; or a pattern, as in 'maze-7x7-red-*'.",
            rich_help_panel=flags.RUNS,
            show_default=False,
        ),
    ]
    recipient: Annotated[
        str,
        typer.Option(
            help="The sample that they are put into; its * stands for the same as that of --donor.",
            rich_help_panel=flags.RUNS,
            show_default=False,
        ),
    ]
    donor_store: Annotated[
        Path | None,
        typer.Option(help="Where the donors are.", rich_help_panel=flags.RUNS, show_default="STORE"),
    ] = None
    seeds: Annotated[
        str | None,
        typer.Option(help="Of the recipients, such as 0-7.", rich_help_panel=flags.RUNS, show_default="all"),
    ] = None
    donor_seeds: Annotated[
        str | None,
        typer.Option(
            help="Of the donors: one for each of --seeds, or one for all.",
            rich_help_panel=flags.RUNS,
            show_default="the recipient's",
        ),
    ] = None

    def givers(self, recipients: Store) -> Store:
        """The store of the donors. Raises StoreError: there is none."""
        from stores import open_store

        return recipients if self.donor_store is None else open_store(self.donor_store)

    def find(self, recipients: Store, givers: Store) -> list[Pair]:
        """The pairs; see `find_pairs`."""
        from cosinterp.patching.pairs import find_pairs

        return find_pairs(
            recipients,
            givers,
            recipient=self.recipient,
            donor=self.donor,
            seeds=self.seeds,
            donor_seeds=self.donor_seeds,
        )


@dataclass(frozen=True)
class WindowFlags:
    """What of a grid goes together."""

    window: flags.Window = "1"
    layer_window: flags.LayerWindow = 1


@dataclass(frozen=True)
class PlaceFlags:
    """Which cells of a grid."""

    steps: flags.Steps = "all"
    layers: flags.Layers = "all"
    sites: flags.Sites = "resid"
    tokens: flags.Tokens = None
    branches: flags.Branches = "all"

    def grid(self, windows: WindowFlags | None = None) -> Grid:
        """The grid, of single steps and layers without ``windows``."""
        from cosinterp.patching.grid import Grid

        windows = windows or WindowFlags()
        return Grid(
            self.steps,
            self.layers,
            names_of(self.sites),
            self.tokens or ["all"],
            names_of(self.branches),
            window=windows.window,
            layer_window=windows.layer_window,
        )


@dataclass(frozen=True)
class SweepFlags:
    """What is measured, what becomes of it, and how the sweep is made."""

    dataset: flags.Dataset = None
    horizon: flags.Horizon = None
    videos: flags.Videos = True
    measure: flags.Measures = None
    controls: flags.ControlShare = flags.Controls.some
    effect: flags.Effect = None
    plot: flags.Plot = None
    bootstrap_seed: flags.BootstrapSeed = 0
    resume: flags.Resume = False
    batch: flags.Batch = 1
    dry_run: flags.DryRun = False
    as_json: AsJson = False

    def options(self, donors: Literal["auto", "store", "replay"] = "auto") -> SweepOptions:
        """How the sweep is made.

        Raises:
            MeasureError: there is no such measure.
            SampleError: the samples of the dataset cannot be read.
        """
        from cosinterp.patching.own_measures import load_measure
        from cosinterp.patching.sweep import SweepOptions

        return SweepOptions(
            horizon=self.horizon,
            rows=self.batch,
            videos=self.videos,
            measures=[load_measure(text) for text in self.measure or ()],
            samples=dataset_samples(self.dataset),
            donors=donors,
        )


def dataset_samples(dataset: Path | None) -> list[Sample]:
    """The samples of ``--dataset``. Raises SampleError: they cannot be read."""
    from cosinterp.samples import load_dataset

    return [] if dataset is None else load_dataset(dataset)


def names_of(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
