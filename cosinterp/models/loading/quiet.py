"""Keeping the model libraries from saying what is of no use to the user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


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

    remarks = logging.getLogger("transformers.utils.import_utils")
    remarks.addFilter(_is_worth_saying)
    drawing = [
        library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()
    ]
    for library in drawing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        remarks.removeFilter(_is_worth_saying)
        for library in drawing:
            library.enable_progress_bar()


def _is_worth_saying(record: logging.LogRecord) -> bool:
    # Of importing a pipeline that could preprocess images with torchvision, whether or not this model does.
    return "requires torchvision (not installed); falling back" not in record.getMessage()
