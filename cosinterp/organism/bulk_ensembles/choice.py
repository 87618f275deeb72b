"""The schemes that are measured, the most important first. Needs no torch.

A name says what is merged, at which steps, how if not by the mean, K, and what else is unlike a plain run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from cosinterp.organism.bulk_ensembles.schemes import Merge, Scheme, SchemeError, Way, What

BASE_SEEDS = 16
BASE = Scheme("base", groups=BASE_SEEDS)
NOISELESS = Scheme("noise-0", noise=0.0)
_THREE = 3
# Seeds of runs that merge nothing, where one seed would tell too little.
_FOUR = 4


def schemes() -> list[Scheme]:
    """All, for 12 steps and 8 blocks."""
    parts = (
        _first_choices,
        _noise,
        _whose_noise,
        _noiseless,
        _steps_and_ways,
        _hidden,
        _numbers_of_seeds,
        _fewer_evaluations,
        _renewed,
        _votes,
        _further_ways,
    )
    listed = [BASE, *(scheme for part in parts for scheme in part())]
    return list({scheme.name: scheme for scheme in listed}.values())


def chosen(names: Sequence[str]) -> list[Scheme]:
    """The schemes of these names, in which ``*`` stands for anything, in the order of the list.

    Raises:
        SchemeError: a name that is none.
    """
    listed = schemes()
    if "all" in names:
        return listed
    found: set[str] = set()
    for name in names:
        matching = {one.name for one in listed if fnmatchcase(one.name, name)}
        if not matching:
            raise SchemeError(f"there is no scheme {name}; --list names them all")
        found |= matching
    return [scheme for scheme in listed if scheme.name in found]


def merging(
    what: What, first: int, last: int, seeds: int = _THREE, how: Way = "mean", share: float = 1.0
) -> Scheme:
    """One merge over a span of steps, with the name that says so."""
    span = f"s{first}" if first == last else f"s{first}-{last}"
    way = ("" if how == "mean" else f"-{how}") + ("" if share == 1 else f"-share{share:g}")
    merge = Merge(what, tuple(range(first, last + 1)), how, share=share)
    return Scheme(f"{what}-{span}{way}-k{seeds}", seeds, merges=(merge,))


def _all(scheme: Scheme) -> Scheme:
    return replace(scheme, name=f"{scheme.name}-all", then="all")


def _groups(scheme: Scheme, groups: int) -> Scheme:
    return replace(scheme, name=f"{scheme.name}-x{groups}", groups=groups)


def _first_choices() -> Iterator[Scheme]:
    yield merging("latent", 0, 0)
    yield merging("x0", 0, 3)
    yield merging("x0", 0, 1)
    yield merging("x0", 0, 5)
    yield merging("prediction", 0, 0)
    yield merging("latent", 0, 0, 8)
    yield merging("x0", 0, 3, 8)


def _noise() -> Iterator[Scheme]:
    """The mean of K noises is smaller by the root of K: what a smaller noise does by itself."""
    for scale in (0.58, 0.8, 0.9, 0.7, 0.4, 0.25):
        yield Scheme(f"noise-{scale:g}", groups=_FOUR, noise=scale)
    yield NOISELESS


def _whose_noise() -> Iterator[Scheme]:
    """What of the mean of K latents helps: beside ``x0-s0``, which merges all but the noise."""
    yield Scheme("shrunk-0.58-s0", groups=_FOUR, shrunk=(0,), shrink=0.58)
    yield Scheme("shrunk-0-s0", groups=_FOUR, shrunk=(0,), shrink=0.0)
    yield Scheme("shrunk-0.58-s3", groups=_FOUR, shrunk=(3,), shrink=0.58)


def _noiseless() -> Iterator[Scheme]:
    for steps in (8, 6, 4, 3, 2):
        yield replace(NOISELESS, name=f"{NOISELESS.name}-{steps}-steps", num_steps=steps)
    for guidance in (1.0, 1.5, 3.0, 4.0):
        yield replace(NOISELESS, name=f"{NOISELESS.name}-guidance-{guidance:g}", guidance=guidance)


def _steps_and_ways() -> Iterator[Scheme]:
    for last in (0, 2, 7, 11):
        yield merging("x0", 0, last)
    yield merging("x0", 1, 3)
    yield merging("x0", 2, 5)
    for step in (1, 2, 3, 5):
        yield merging("latent", step, step)
    yield merging("latent", 0, 0, how="norm-mean")
    yield merging("latent", 0, 0, 8, how="norm-mean")
    for last in (1, 3, 5, 11):
        yield merging("prediction", 0, last)


def _hidden() -> Iterator[Scheme]:
    """The first layer that is merged decides: after it the seeds' residual streams are the same."""
    for layer in (0, 1, 2, 3, 4, 5, 6, 7, 8):
        yield Scheme(f"hidden-l{layer}-s0-k3", _THREE, merges=(Merge("hidden", (0,), layers=(layer,)),))
    for layer in (2, 4, 6):
        steps = (0, 1, 2, 3)
        yield Scheme(f"hidden-l{layer}-s0-3-k3", _THREE, merges=(Merge("hidden", steps, layers=(layer,)),))
    yield Scheme("hidden-l4-s0-k8", 8, merges=(Merge("hidden", (0,), layers=(4,)),))
    cond = Merge("hidden", (0,), layers=(4,), branches=("cond",))
    yield Scheme("hidden-l4-cond-s0-k3", _THREE, merges=(cond,))
    half = Merge("hidden", (0, 1, 2, 3), layers=(4,), share=0.5)
    yield Scheme("hidden-l4-s0-3-share0.5-k3", _THREE, merges=(half,))


def _numbers_of_seeds() -> Iterator[Scheme]:
    for seeds in (2, 4, 16):
        yield merging("latent", 0, 0, seeds)
        yield merging("x0", 0, 3, seeds)
    for last in (0, 1, 5):
        yield merging("x0", 0, last, 8)


def _votes() -> Iterator[Scheme]:
    """Several answers of merged seeds, to be voted on."""
    yield _groups(merging("latent", 0, 0), 5)
    yield _groups(merging("x0", 0, 3), 5)
    yield _all(merging("x0", 0, 3, 4))
    yield _all(merging("x0", 0, 3, 8))
    yield _all(merging("x0", 0, 5, 8, share=0.5))
    yield _all(merging("x0", 0, 5, 8, share=0.25))


def _fewer_evaluations() -> Iterator[Scheme]:
    for steps in (6, 4):
        yield replace(BASE, name=f"base-{steps}-steps", num_steps=steps)
    yield replace(BASE, name="base-guidance-1", guidance=1.0)
    for guidance in (1.5, 3.0):
        yield Scheme(f"base-guidance-{guidance:g}", groups=_FOUR, guidance=guidance)
    yield Scheme("base-unguided-s0-3", groups=_FOUR, unguided=(0, 1, 2, 3))
    yield Scheme("base-unguided-s6-11", groups=_FOUR, unguided=tuple(range(6, 12)))
    x0 = merging("x0", 0, 3)
    yield replace(x0, name=f"{x0.name}-unguided-s0-3", unguided=(0, 1, 2, 3))
    for steps in (6, 4):
        for merged in (merging("x0", 0, 1), merging("latent", 0, 0)):
            yield replace(merged, name=f"{merged.name}-{steps}-steps", num_steps=steps)
    yield replace(x0, name=f"{x0.name}-guidance-3", guidance=3.0)


def _renewed() -> Iterator[Scheme]:
    """Noise drawn anew after early steps, which averages over noises in time instead of side by side."""
    for last in (1, 3, 5, 8):
        yield Scheme(f"renewed-s0-{last}", groups=_FOUR, renewed=tuple(range(last + 1)))
    for last, seeds in ((3, 3), (5, 3), (3, 8)):
        x0 = merging("x0", 0, last, seeds)
        yield replace(x0, name=f"{x0.name}-renewed", renewed=tuple(range(last + 1)))


def _further_ways() -> Iterator[Scheme]:
    for how in ("median", "medoid", "core"):
        yield merging("x0", 0, 3, how=how)
        yield merging("x0", 0, 3, 8, how=how)
    yield merging("latent", 0, 0, how="median")
    yield merging("latent", 0, 0, 8, how="medoid")
    yield merging("latent", 0, 2, share=0.5)
    x0 = Merge("x0", (0, 1, 2, 3))
    yield Scheme("latent-s0-x0-s1-3-k3", _THREE, merges=(Merge("latent", (0,), share=0.5), x0))
    yield replace(merging("x0", 0, 3), name="x0-s0-3-k3-noise-0.8", noise=0.8)
    yield replace(merging("x0", 0, 3, 8), name="x0-s0-3-k8-noise-0.8", noise=0.8)
