"""Keeping the model libraries from saying what is of no use to the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_REMARKING = (
    "transformers.utils.import_utils",
    "diffusers.pipelines.pipeline_loading_utils",
    "diffusers.guiders.guider_utils",
    "diffusers.pipelines.pipeline_utils",
)
_IDLE_REMARKS = (
    # Of importing a pipeline that could preprocess images with torchvision, whether or not this model does.
    "requires torchvision (not installed); falling back",
    # Of components that come with a pipeline, such as LTX-2's connectors, with a list of all their modules.
    "You have passed a non-standard module",
    # Of each guider that is made, such as HunyuanVideo-1.5's.
    "Guiders are currently an experimental feature",
    # Of the numbers of classes, which are texts in any JSON, and of what takes the place of a guardrail in a
    # pipeline without its weights.
    "Expected types for id2label",
    "Expected types for safety_checker",
)


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


@contextmanager
def no_warnings_of(library: str) -> Iterator[None]:
    """Leave out what a library says of each vain attempt, where the error at the end says it once."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries from drawing bars of their own (those of downloads stay) and from idle remarks."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    remarking = [logging.getLogger(name) for name in _REMARKING]
    for logger in remarking:
        logger.addFilter(_is_worth_saying)
    drawing = [
        library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()
    ]
    for library in drawing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for logger in remarking:
            logger.removeFilter(_is_worth_saying)
        for library in drawing:
            library.enable_progress_bar()


def _is_worth_saying(record: logging.LogRecord) -> bool:
    return not any(idle in record.getMessage() for idle in _IDLE_REMARKS)
