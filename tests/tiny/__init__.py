"""Tiny random pipelines: real diffusers folders of a few hundred kB, built by code in about a second.

They have the architecture of the published models and random weights, so they prove that a family is
understood (sites, gates, branches, experts, schedule) without a download.
"""

from tests.tiny.wan import KINDS, WanKind, build, sample_for

__all__ = ["KINDS", "WanKind", "build", "sample_for"]
