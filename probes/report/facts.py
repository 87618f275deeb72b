"""What a store is, as the head of a report says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stores import RunEntry, Store
from stores.errors import StoreError
from stores.selection import compact
from stores.units import count_text, size_text

_MOST_SAMPLES = 40
_MOST_ITEMS = 12
_HASH = 16


@dataclass(frozen=True)
class SampleFacts:
    """One sample: its name, its seeds as text, and its prompt."""

    name: str
    seeds: str
    prompt: str


@dataclass(frozen=True)
class StoreFacts:
    """What a report says of its store.

    Attributes:
        name: of its folder.
        sentence: how many runs, samples and seeds of which model.
        parts: settings by title, each a list of names and texts.
        samples: the first samples; ``more_samples``: how many there are beyond.
    """

    name: str
    sentence: str
    parts: dict[str, list[tuple[str, str]]]
    samples: list[SampleFacts]
    more_samples: int


def store_facts(store: Store) -> StoreFacts:
    """What is said of a store. A prompt that cannot be read is said to be so."""
    entries = store.runs()
    settings = store.settings
    by_sample: dict[str, list[RunEntry]] = {}
    for entry in entries:
        by_sample.setdefault(entry.sample, []).append(entry)
    shown = list(by_sample.items())[:_MOST_SAMPLES]
    variants = list(dict.fromkeys(entry.variant for entry in entries))
    runs = [
        ("runs", f"{len(entries)}, {size_text(sum(entry.size for entry in entries))}"),
        ("samples", str(len(by_sample))),
        ("seeds", compact({entry.seed for entry in entries}) if entries else "-"),
        ("variants", ", ".join(variants) or "-"),
        ("made (UTC)", _made(entries)),
    ]
    return StoreFacts(
        name=store.path.resolve().name,
        sentence=_sentence(store, entries, len(by_sample)),
        parts={
            "Runs": runs,
            "Model": flat(settings.model),
            "Sampling": flat(settings.sampling),
            "Capture": flat(settings.capture),
        },
        samples=[
            SampleFacts(name, compact({entry.seed for entry in own}), _prompt(store, own[0]))
            for name, own in shown
        ],
        more_samples=len(by_sample) - len(shown),
    )


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and texts; what is not set is left out."""
    lines: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{name}.")
        elif value is not None and value != [] and value != "":
            lines.append((f"{prefix}{name}", value_text(value)))
    return lines


def value_text(value: Any) -> str:
    """A setting in short: whole numbers as ranges, long hashes and lists by their beginning."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(type(item) is int and item >= 0 for item in value):
            return compact(value)
        more = f", and {len(value) - _MOST_ITEMS} more" if len(value) > _MOST_ITEMS else ""
        return ", ".join(_item_text(item) for item in value[:_MOST_ITEMS]) + more
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {value_text(item)}" for name, item in value.items() if item is not None)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    is_hash = len(text) >= 40 and all(character in "0123456789abcdef" for character in text)
    return f"{text[:_HASH]}..." if is_hash else text


def _item_text(value: Any) -> str:
    return f"({value_text(value)})" if isinstance(value, Mapping | list) else value_text(value)


def _sentence(store: Store, entries: Sequence[RunEntry], samples: int) -> str:
    model = str(store.settings.model.get("name") or "an unnamed model")
    seeds = len({entry.seed for entry in entries})
    steps = sorted({entry.num_steps for entry in entries})
    told = f", {compact(steps)} denoising steps" if steps else ""
    return (
        f"{count_text(len(entries), 'run')} of {model}: {count_text(samples, 'sample')}, "
        f"{count_text(seeds, 'seed')}{told}."
    )


def _made(entries: Sequence[RunEntry]) -> str:
    if not entries:
        return "-"
    times = sorted(entry.finished[:16].replace("T", " ") for entry in entries)
    return times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


def _prompt(store: Store, entry: RunEntry) -> str:
    try:
        with store.run(*entry.key) as run:
            return run.prompt
    except StoreError as error:
        return f"(cannot be read: {error})"
