"""One sample from what the command line, or a caller, says."""

from __future__ import annotations

from pathlib import Path

from cosinterp.errors import SampleError
from cosinterp.samples.images import read_image
from cosinterp.samples.sample import Sample
from cosinterp.samples.values import check_text, read_prompt
from stores.layout import sample_name


def sample_from_flags(
    prompt: str | None = None,
    *,
    prompt_file: Path | str | None = None,
    image: Path | str | None = None,
    name: str | None = None,
) -> Sample:
    """One sample from a prompt, or a file with one, and an image file.

    Without ``name`` it is called after the image and the prompt.

    Raises:
        SampleError: no prompt or two, an empty prompt file, a prompt that is no text, or an
            image that is no image.
    """
    if (prompt is None) == (prompt_file is None):
        raise SampleError("give either a prompt or a prompt file")
    text = read_prompt(Path(prompt_file)) if prompt_file is not None else (prompt or "").strip()
    if not text:
        raise SampleError("the prompt is empty")
    # What of a command line is not UTF-8 arrives as halves of characters.
    check_text(text, "the prompt")
    picture = None if image is None else read_image(Path(image))
    # Named after all that it is made from, so that a store never takes one sample for another.
    source = text if image is None else f"{Path(image).stem} {text}"
    return Sample(name=sample_name(name or source), prompt=text, image=picture)
