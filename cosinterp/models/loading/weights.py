"""What a component's weight files hold, as far as their headers say it: checked before any weights are read.

A safetensors file begins with the length of its header (8 bytes, little-endian), then the header in JSON: the
name, dtype, shape and place of each tensor (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import Component, read_json

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_KINDS = (".safetensors.index.json", ".safetensors", ".bin.index.json", ".bin")
_HEADER_LIMIT = 100 * 10**6

Shapes = dict[str, tuple[int, ...]]


def check_weights(component: Component, skeleton: Any | None) -> None:
    """See that a component's weight files are there and whole, and fit its config.

    ``skeleton``: the model on the meta device; None: the names and shapes of its tensors are not compared.

    Raises:
        ModelError: says which file, or which tensor.
    """
    files = weight_files(component)
    headers = [safetensors_header(path) for path in files if path.suffix == ".safetensors"]
    if skeleton is None or len(headers) < len(files) or component.quantization is not None:
        return
    shapes: Shapes = {}
    for header in headers:
        shapes.update({key: tuple(entry["shape"]) for key, entry in header.items()})
    if len(files) == 1:
        # Old names of tensors, which diffusers still takes from a single file.
        skeleton._fix_state_dict_keys_on_load(shapes)
    _check_fit(component, skeleton, shapes)


def weight_files(component: Component) -> list[Path]:
    """The files with a component's weights: one, or all shards.

    Raises:
        ModelError: they are missing, or one of them is.
    """
    folder = component.folder
    names = [f"{stem}{kind}" for kind in _KINDS for stem in _STEMS]
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        others = sorted(
            path.name for path in folder.glob("*") if path.suffix in (".safetensors", ".bin", ".gguf")
        )
        there = f"; it has {', '.join(others[:3])}, which is not what it loads" if others else ""
        raise ModelError(f"{folder}: the weights of the component {component.name} are missing{there}")
    if found.suffix != ".json":
        return [found]
    index = read_json(found).get("weight_map")
    if not isinstance(index, dict) or not index or not all(isinstance(name, str) for name in index.values()):
        raise ModelError(f"{found}: names no shards")
    shards = [folder / name for name in sorted(set(index.values()))]
    for shard in shards:
        if not shard.is_file():
            raise ModelError(
                f"{shard}: is missing, one of {len(shards)} shards of the weights of the component "
                f"{component.name}"
            )
    return shards


def safetensors_header(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of a safetensors file, by the name of the tensor.

    Raises:
        ModelError: it is damaged, or cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= min(size, _HEADER_LIMIT) else b""
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{path}: is damaged: it has no safetensors header") from error
    whole = 8 + length + end
    if size != whole:
        raise ModelError(f"{path}: is damaged: it has {size:,} bytes of {whole:,}; was it copied to the end?")
    return header


def _check_fit(component: Component, skeleton: Any, shapes: Shapes) -> None:
    expected: Shapes = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    where = f"{component.folder}: its config.json does not fit its weights"
    for name, shape in expected.items():
        if name in shapes and shapes[name] != shape:
            raise ModelError(f"{where}: {name} is {_text(shapes[name])} there, {_text(shape)} by the config")
    missing = [name for name, _ in skeleton.named_parameters() if name not in shapes]
    if missing:
        raise ModelError(f"{where}: {_several(missing)} missing there")
    further = _is_of_a_further_block(skeleton)
    beyond = [name for name in shapes if name not in expected and further(name)]
    if beyond:
        raise ModelError(f"{where}: {_several(beyond)} there, of more blocks than the config says")


def _is_of_a_further_block(skeleton: Any) -> Callable[[str], bool]:
    """Tells of a tensor's name whether it is that of a block behind the last one."""
    from torch.nn import ModuleList

    counts = {
        path: len(module) for path, module in skeleton.named_modules() if isinstance(module, ModuleList)
    }

    def further(name: str) -> bool:
        numbers = [found for found in re.finditer(r"\.(\d+)\.", name) if name[: found.start()] in counts]
        return any(int(found[1]) >= counts[name[: found.start()]] for found in numbers)

    return further


def _several(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more} {'are' if more else 'is'}"


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
