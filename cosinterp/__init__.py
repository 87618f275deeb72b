"""See what a video diffusion transformer computes at each denoising step, layer and seed.

>>> import cosinterp as ci
>>> model = ci.load("maze-wan")
>>> samples = ci.load_dataset("mazes/")
>>> store = ci.trace(model, samples, store="runs/mazes", seeds="0-3")
>>> store.read(site="resid", step=3, layer=4, sample=samples[0].name, seed=0)  # (frame, row, col, channel)

Everything public is a name of this module. Each is imported when it is first used, so that ``import
cosinterp`` costs nothing and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Check",
    "Intervention",
    "InterventionError",
    "Job",
    "JobError",
    "JobSpec",
    "Model",
    "ModelError",
    "RayExecutor",
    "Replayed",
    "Result",
    "Run",
    "Sample",
    "SampleError",
    "SelectionError",
    "Store",
    "StoreError",
    "TraceError",
    "UserError",
    "VideoFile",
    "VideoFrames",
    "Wanted",
    "__version__",
    "ablate",
    "compare_ensembles",
    "convergence",
    "decode",
    "diff",
    "ensemble",
    "experiment",
    "export",
    "export_videos",
    "find_job",
    "list_jobs",
    "load",
    "load_dataset",
    "maps",
    "merge",
    "noise",
    "open",
    "patch",
    "prepare",
    "probe",
    "probe_transfer",
    "replay",
    "reproduce",
    "results",
    "score",
    "similarity",
    "steer",
    "steering_vectors",
    "submit",
    "trace",
    "verify",
]

# Where each name is at home, as "module" or, if it is called otherwise there, "module:name". No module may
# bear one of these names itself (cosinterp/trace.py, say): once imported it would stand in the name's place.
_HOMES = {
    "Check": "cosinterp.verification",
    "Model": "cosinterp.models.model",
    "Intervention": "cosinterp.interventions.intervention",
    "InterventionError": "cosinterp.errors",
    "Job": "cosinterp.jobs.job",
    "JobError": "cosinterp.errors",
    "JobSpec": "cosinterp.jobs.spec",
    "ModelError": "cosinterp.errors",
    "RayExecutor": "cosinterp.executors.ray_executor",
    "Replayed": "cosinterp.replaying.replay",
    "Result": "probes.results.result",
    "Run": "stores",
    "Sample": "cosinterp.samples",
    "VideoFile": "cosinterp.samples",
    "VideoFrames": "cosinterp.samples",
    "SampleError": "cosinterp.errors",
    "SelectionError": "stores",
    "Store": "stores",
    "StoreError": "stores",
    "TraceError": "cosinterp.errors",
    "UserError": "stores",
    "Wanted": "stores",
    "ablate": "cosinterp.patching.ablate",
    "compare_ensembles": "probes.ensembles.analysis:compare",
    "convergence": "probes.convergence.analysis",
    "decode": "cosinterp.decoding:decode_run",
    "diff": "stores:diff_stores",
    "ensemble": "cosinterp.ensembles.ensemble",
    "experiment": "cosinterp.experiments.running",
    "export": "stores:export_store",
    "export_videos": "cosinterp.video_export",
    "find_job": "cosinterp.jobs.listing",
    "list_jobs": "cosinterp.jobs.listing:jobs",
    "load": "cosinterp.models.loading",
    "load_dataset": "cosinterp.samples",
    "maps": "probes.maps.making",
    "merge": "stores:merge_stores",
    "noise": "cosinterp.noising.noise",
    "open": "stores:open_store",
    "patch": "cosinterp.patching.patch",
    "prepare": "cosinterp.models.loading",
    "probe": "cosinterp.probing",
    "probe_transfer": "cosinterp.probing",
    "replay": "cosinterp.replaying.replay",
    "reproduce": "cosinterp.experiments.reproducing",
    "results": "probes.results.listing",
    "score": "cosinterp.scoring:score_store",
    "similarity": "probes.similarity.compare",
    "steer": "cosinterp.patching.steer",
    "steering_vectors": "cosinterp.interventions.vectors",
    "submit": "cosinterp.jobs.launching",
    "trace": "cosinterp.tracing",
    "verify": "cosinterp.verification",
}

if TYPE_CHECKING:
    from cosinterp.decoding import decode_run as decode
    from cosinterp.ensembles.ensemble import ensemble
    from cosinterp.errors import InterventionError, JobError, ModelError, SampleError, TraceError
    from cosinterp.executors.ray_executor import RayExecutor
    from cosinterp.experiments.reproducing import reproduce
    from cosinterp.experiments.running import experiment
    from cosinterp.interventions.intervention import Intervention
    from cosinterp.interventions.vectors import steering_vectors
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.launching import submit
    from cosinterp.jobs.listing import find_job
    from cosinterp.jobs.listing import jobs as list_jobs
    from cosinterp.jobs.spec import JobSpec
    from cosinterp.models.loading import load, prepare
    from cosinterp.models.model import Model
    from cosinterp.noising.noise import noise
    from cosinterp.patching.ablate import ablate
    from cosinterp.patching.patch import patch
    from cosinterp.patching.steer import steer
    from cosinterp.probing import probe, probe_transfer
    from cosinterp.replaying.replay import Replayed, replay
    from cosinterp.samples import Sample, VideoFile, VideoFrames, load_dataset
    from cosinterp.scoring import score_store as score
    from cosinterp.tracing import trace
    from cosinterp.verification import Check, verify
    from cosinterp.video_export import export_videos
    from probes.convergence.analysis import convergence
    from probes.ensembles.analysis import compare as compare_ensembles
    from probes.maps.making import maps
    from probes.results.listing import results
    from probes.results.result import Result
    from probes.similarity.compare import similarity
    from stores import Run, SelectionError, Store, StoreError, UserError, Wanted
    from stores import diff_stores as diff
    from stores import export_store as export
    from stores import merge_stores as merge
    from stores import open_store as open


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
