"""Sizes and counts for people."""

from __future__ import annotations


def size_text(size: int) -> str:
    """Bytes in at most seven characters, by powers of 1000, as disks are sold.

    >>> size_text(999), size_text(13_400_000_000)
    ('999 B', '13.4 GB')
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def count_text(number: int, what: str) -> str:
    """A number of things, singular or plural.

    >>> count_text(1, "run"), count_text(8, "finished run")
    ('1 run', '8 finished runs')
    """
    return f"{number} {what}" + ("" if number == 1 else "s")
