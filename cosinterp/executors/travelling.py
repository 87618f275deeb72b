"""Samples on their way to a worker."""

from __future__ import annotations

from dataclasses import replace

from cosinterp.planning.plan import PlannedSample


def portable(planned: PlannedSample) -> PlannedSample:
    """A sample with its first image in memory, for who may not see the file.

    Raises:
        SampleError: the file is gone, or another than when the sample was planned.
    """
    return replace(planned, sample=replace(planned.sample, image=planned.sample.image))


def bare(planned: PlannedSample) -> PlannedSample:
    """How large the runs of a sample are, without what they are made from."""
    return replace(planned, sample=replace(planned.sample, image=None, truth={}, metadata={}, videos={}))
