"""A loaded model: its pipeline, its anatomy, and how to run it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cosinterp.errors import SampleError, TraceError
from cosinterp.models.anatomy import Anatomy, FromPipeline
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.setting_values import Kind, kind_of
from cosinterp.samples import Sample

if TYPE_CHECKING:
    import torch
    from nnsight.modeling.diffusion import DiffusionModel

    from cosinterp.models.loading.lora import Lora

# Names of ours -> names of the pipeline's call.
_PIPELINE_NAMES = {"num_steps": "num_inference_steps"}
_SIZE_NAMES = ("height", "width", "num_frames")
_SAMPLING_NAMES = (
    "num_steps",
    "guidance_scale",
    *_SIZE_NAMES,
    "negative_prompt",
    "max_sequence_length",
)


@dataclass
class Model:
    """A loaded pipeline and what is known of it. Made by `cosinterp.load`."""

    name: str
    source: str
    revision: str | None
    pipeline: Any
    anatomy: Anatomy
    device: torch.device
    dtype: torch.dtype
    task: str | None = None
    own_sampling: dict[str, Any] = field(default_factory=dict)
    lora: tuple[Lora, ...] = ()
    offload: str | None = None
    quantization: str | None = None
    untrained: int | None = None
    """The seed that the weights of its denoisers were drawn with, if they were not trained."""
    content_sha256: str | None = None
    """Of a pipeline that was given as an object; see `weights_sha256`."""

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.anatomy.num_layers

    @property
    def layers(self) -> range:
        """Layers of the residual stream: 0 to the number of blocks."""
        return self.anatomy.layers

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites that can be captured."""
        return self.anatomy.sites

    @cached_property
    def nn(self) -> DiffusionModel:
        """The pipeline as an nnsight model; each component is an envoy: ``nn.transformer.blocks[3]``."""
        from cosinterp.models.traced import TracedPipeline

        return TracedPipeline(self.source, self.pipeline)

    @cached_property
    def sampling_defaults(self) -> dict[str, Any]:
        """Sampling settings when nothing else is said: the model's own, else the pipeline's."""
        parameters = self._parameters
        defaults: dict[str, Any] = {}
        for name in (*_SAMPLING_NAMES, *self.anatomy.settings):
            parameter = parameters.get(_PIPELINE_NAMES.get(name, name))
            own = self.anatomy.settings.get(name)
            if name in self.anatomy.ignored:
                continue
            if own is not None and not isinstance(own, FromPipeline):
                defaults[name] = own
            elif parameter is not None:
                defaults[name] = parameter.default
        geometry = self.anatomy.geometry
        size = geometry.fixed_size or geometry.default_size
        for name in ("height", "width") if geometry.is_image else _SIZE_NAMES:
            if size is not None:
                defaults[name] = getattr(size, name)
        defaults.update(self.own_sampling)
        if self.anatomy.fixed_text_length is not None:
            defaults["max_sequence_length"] = self.anatomy.fixed_text_length
        if "negative_prompt" in defaults:
            defaults["negative_prompt"] = defaults["negative_prompt"] or ""
        return defaults

    def sampling(self, sample: Sample, asked: dict[str, Any]) -> dict[str, Any]:
        """Settings of one sample, complete: what is asked for, else the sample's own, else the defaults.

        Raises:
            TraceError: a setting that the pipeline does not have, or a value that it cannot take.
            SampleError: a size or an image that does not fit the model.
        """
        asked = {name: value for name, value in asked.items() if value is not None}
        unknown = sorted(set(asked) - set(self.sampling_defaults))
        if unknown:
            known = ", ".join(self.sampling_defaults)
            raise TraceError(f'{self.name} has no sampling setting "{unknown[0]}"; it has {known}')
        own = {name: getattr(sample, name) for name in _SIZE_NAMES if getattr(sample, name) is not None}
        given = {**own, **asked}
        settings = {**self.sampling_defaults, **given, **self._size_by_image(sample, given)}
        self._check(sample, settings)
        return settings

    def size(self, settings: dict[str, Any]) -> Size:
        """The size that complete sampling settings ask for."""
        return Size(settings["height"], settings["width"], settings.get("num_frames", 1))

    def arguments(
        self, sample: Sample, seeds: tuple[int, ...], settings: dict[str, Any], *, output_type: str = "np"
    ) -> dict[str, Any]:
        """Arguments of one pipeline call that makes ``seeds`` of a sample as a batch.

        The noise comes from generators on the CPU, so that a seed means the same video on every device.

        Raises:
            TraceError: several seeds, of a pipeline that makes one video at a time.
        """
        import torch

        rows = len(seeds)
        self.check_batch(rows)
        given = {
            **{_PIPELINE_NAMES.get(name, name): value for name, value in settings.items()},
            "prompt": [sample.prompt] * rows,
            "negative_prompt": [settings.get("negative_prompt", "")] * rows,
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            "output_type": output_type,
            "image": sample.image,
        }
        for name, video in sample.videos.items():
            given[name] = [Image.fromarray(frame) for frame in video.read(settings["num_frames"])]
        if self.anatomy.one_at_a_time:
            given.update({name: given[name][0] for name in ("prompt", "negative_prompt", "generator")})
        if self.anatomy.arguments is not None:
            given = self.anatomy.arguments(self.pipeline, given)
        # What a size or a guider decides is a setting too, but no argument of the call.
        return {
            name: value for name, value in given.items() if value is not None and name in self._parameters
        }

    def check_batch(self, rows: int) -> None:
        """Refuse to make so many videos in one call of the pipeline.

        Raises:
            TraceError: there are none, or it makes one at a time.
        """
        if rows < 1:
            raise TraceError(f"batch has to be 1 or more, not {rows}")
        if rows > 1 and self.anatomy.one_at_a_time:
            raise TraceError(f"{self.name} makes one video at a time, so batch has to be 1, not {rows}")

    def generate(
        self, sample: Sample, seed: int, num_steps: int | None = None, **sampling: Any
    ) -> np.ndarray:
        """Generate a video with the plain pipeline, untraced: uint8 (frame, row, col, rgb).

        Raises:
            TraceError, SampleError: as `Model.sampling`.
        """
        settings = self.sampling(sample, {"num_steps": num_steps, **sampling})
        return to_uint8(self.videos(self.pipeline(**self.arguments(sample, (seed,), settings))))[0]

    def videos(self, output: Any) -> np.ndarray:
        """The videos that a call of the pipeline returned: float (batch, frame, row, col, rgb) in [0, 1]."""
        frames = np.asarray(getattr(output, self.anatomy.output))
        return frames[:, None] if self.anatomy.geometry.is_image else frames

    def decode(self, latents: np.ndarray | torch.Tensor, num_frames: int | None = None) -> np.ndarray:
        """Decode latents as the pipeline does.

        ``latents``: float32 (channel, frame, row, col), normalised as the pipeline's, or a batch of them.
        ``num_frames``: of the video; it may be left out where the latents' own number of frames tells it.
        Returns uint8 (frame, row, col, rgb), or a batch of that.

        Raises:
            TraceError: the model makes videos of several lengths, or none, of so many latent frames.
        """
        import torch

        tensor = torch.as_tensor(latents)
        batch = tensor if tensor.ndim == 5 else tensor[None]
        if num_frames is None:
            num_frames = self._frames_of(batch.shape[2])
        video = to_uint8(self.anatomy.decode(self.pipeline, batch, num_frames))
        return video if tensor.ndim == 5 else video[0]

    def _frames_of(self, latent_frames: int) -> int:
        """The number of frames of the only video that has so many latent frames."""
        geometry = self.anatomy.geometry
        possible = [
            size.num_frames
            for num_frames in range(1, latent_frames * geometry.temporal_scale + 1)
            # Of no matter what sides: it is the frames that are asked about.
            if geometry.latent_shape(size := replace(geometry.smallest(), num_frames=num_frames))[1]
            == latent_frames
            and _is_taken(geometry, size)
        ]
        if len(possible) != 1:
            several = " or ".join(map(str, possible))
            fitting = f"that is a video of {several} frames" if possible else "no video has so many"
            raise TraceError(
                f"{self.name}: the latents have {latent_frames} frames, and {fitting}; give num_frames"
            )
        return possible[0]

    @cached_property
    def weights_sha256(self) -> str | None:
        """SHA-256 over the configs and weight headers of a local folder, or over the tensors of a pipeline
        that was given as an object; None for a hub id, whose commit says it.

        A safetensors header holds each tensor's name, shape and place; with the file's size and its last
        megabyte that tells models apart without reading tens of gigabytes.
        """
        if self.content_sha256 is not None:
            return self.content_sha256
        root = Path(self.source)
        if not root.is_dir():
            return None
        digest = hashlib.sha256()
        for path in sorted(root.rglob("*")):
            if path.suffix in (".json", ".safetensors", ".bin"):
                digest.update(f"{path.relative_to(root)}:{path.stat().st_size}\n".encode())
                digest.update(_ends(path))
        return digest.hexdigest()

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(type(self.pipeline).__call__).parameters

    @cached_property
    def _kinds(self) -> dict[str, Kind | None]:
        """What each sampling setting may be, where that is known."""
        guidance = self.anatomy.guidance
        compared = {*guidance.on, *guidance.off}.union(*(branch.when for branch in guidance.branches))
        return {
            name: kind_of(
                default,
                self._parameters.get(_PIPELINE_NAMES.get(name, name)),
                compared=name in compared,
            )
            for name, default in self.sampling_defaults.items()
        }

    def _size_by_image(self, sample: Sample, given: dict[str, Any]) -> dict[str, int]:
        """Height and width that follow from a sample's image, where they do."""
        if self.anatomy.size_of_image is None or sample.image_size is None:
            return {}
        width, height = sample.image_size
        made: dict[str, int] = {}
        made["height"], made["width"] = self.anatomy.size_of_image(height, width)
        for name, value in made.items():
            if given.get(name, value) != value:
                raise SampleError(
                    f"sample {sample.name}: {self.name} makes {made['height']}x{made['width']} pixels of its "
                    f"image, not a {name} of {given[name]}; leave height and width out, or change the image"
                )
        return made

    def _check(self, sample: Sample, settings: dict[str, Any]) -> None:
        where = f"sample {sample.name}"
        for name in ("num_steps", *_SIZE_NAMES, "max_sequence_length"):
            value = settings.get(name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise TraceError(f"{where}: {name} has to be a whole number above 0, not {value!r}")
        for name, value in settings.items():
            kind = self._kinds.get(name)
            if value is not None and kind is not None and not kind.takes(value):
                raise TraceError(f"{where}: {name} has to be {kind}, not {value}")
        length = self.anatomy.fixed_text_length
        if length is not None and settings["max_sequence_length"] != length:
            raise TraceError(f"{self.name} takes a max_sequence_length of {length} only")
        if settings.get("guidance_scale_2") is not None and not self.anatomy.two_guidance_scales:
            raise TraceError(f"{self.name} has one expert, so it takes no guidance_scale_2")
        if not sample.has_image and self.anatomy.image == "required":
            raise SampleError(f"{where} has no image, but {self.name} needs one: {self.anatomy.image_hint}")
        if sample.has_image and self.anatomy.image == "none":
            raise SampleError(f"{where} has an image, but {self.name} takes none: {self.anatomy.image_hint}")
        classes = self.anatomy.classes
        if classes is not None and sample.prompt not in classes:
            raise SampleError(
                f'{where}: "{sample.prompt}" is no class of {self.name}, which takes the name or number of '
                f"one as its prompt, such as {', '.join(list(classes)[:3])}"
            )
        self._check_videos(sample, settings, where)
        missing = [name for name in ("height", "width") if settings.get(name) is None]
        if missing:
            raise TraceError(f"{where}: {self.name} has no {missing[0]} of its own; give one")
        self.anatomy.geometry.check(self.size(settings), where)
        refusal = self.anatomy.refusal(settings)
        if refusal is not None:
            raise TraceError(f"{where}: {refusal}")

    def _check_videos(self, sample: Sample, settings: dict[str, Any], where: str) -> None:
        taken = self.anatomy.videos
        for name, needed in taken.items():
            if needed == "required" and name not in sample.videos:
                raise SampleError(
                    f"{where} has no {name}, but {self.name} needs one: put {name}.mp4 beside its prompt"
                )
        for name, video in sample.videos.items():
            if name not in taken:
                raise SampleError(f"{where} has a {name}, but {self.name} takes none")
            if video.num_frames < settings["num_frames"]:
                raise SampleError(
                    f"{where}: its {name} has {video.num_frames} frames, but {settings['num_frames']} are to "
                    "be made; ask for fewer"
                )


def _is_taken(geometry: Geometry, size: Size) -> bool:
    try:
        geometry.check(size, "")
    except SampleError:
        return False
    return True


def to_uint8(frames: np.ndarray) -> np.ndarray:
    """Pixels from [0, 1] floats to uint8, rounded."""
    return (np.asarray(frames) * 255).round().astype(np.uint8)


def _ends(path: Path, size: int = 1 << 20) -> bytes:
    with path.open("rb") as file:
        head = file.read(size)
        file.seek(max(size, path.stat().st_size - size))
        return head + file.read()
