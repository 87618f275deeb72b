"""What ``reduce`` asks for, by site."""

from __future__ import annotations

import pytest

from cosinterp.errors import SelectionError
from cosinterp.planning.reduce_option import Reduce, parse_reduce, resolve_reduce

SITES = ("resid", "mlp")
KNOWN = (*SITES, "self_attn")


@pytest.mark.parametrize(
    ("reduce", "resid", "mlp"),
    [
        (None, ("full",), ("full",)),
        ([], ("full",), ("full",)),
        ("project:64", ("project:64",), ("project:64",)),
        ("resid=project:64", ("project:64",), ("full",)),
        (["resid=project:64", "resid=norm"], ("project:64", "norm"), ("full",)),
        (["resid=norm", "resid=project:64"], ("norm", "project:64"), ("full",)),
        (["mean", "resid=full", "resid=norm"], ("full", "norm"), ("mean",)),
        (["mean", "norm"], ("mean", "norm"), ("mean", "norm")),
        ({"resid": ["project:64", "norm"], "mlp": "mean"}, ("project:64", "norm"), ("mean",)),
        ({"mlp": "frames + project:08"}, ("full",), ("frames+project:8",)),
        ([" resid = Norm "], ("norm",), ("full",)),
    ],
    ids=str,
)
def test_each_site_gets_its_reductions(reduce: Reduce, resid: tuple[str, ...], mlp: tuple[str, ...]) -> None:
    assert resolve_reduce(reduce, SITES, KNOWN) == {"resid": resid, "mlp": mlp}


@pytest.mark.parametrize(
    ("reduce", "message"),
    [
        ("self_attn=norm", "reduce: self_attn is not captured; add it to the sites resid,mlp"),
        ("attn=norm", 'reduce: unknown site "attn"; this trace captures resid, mlp'),
        (["resid=norm", "resid=norm"], "reduce: site resid: reduction norm is asked for twice"),
        (["tokens:8", "tokens:08"], "reduce: reduction tokens:8 is asked for twice"),
        ("resid=half", 'reduce: site resid: unknown reduction "half"; use full, frames'),
        ("project", 'reduce: reduction "project": write project:K, such as project:64'),
        ("=norm", 'reduce "=norm": name a site before "="'),
        ("", 'reduce: unknown reduction ""'),
        ({"resid": []}, "reduce: site resid: nothing is asked for; use full"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_one_line(reduce: Reduce, message: str) -> None:
    with pytest.raises(SelectionError) as raised:
        resolve_reduce(reduce, SITES, KNOWN)
    assert str(raised.value).startswith(message)
    assert len(str(raised.value).splitlines()) == 1


def test_what_can_be_checked_without_a_model_is() -> None:
    assert parse_reduce(["project:64", "attn=norm"]) == {"": ("project:64",), "attn": ("norm",)}
    with pytest.raises(SelectionError, match="reduces the tokens twice"):
        parse_reduce("attn=mean+frames")


def test_what_is_meant_for_every_site_has_to_reach_one() -> None:
    with pytest.raises(SelectionError, match="mean is meant for .* resid=mean to keep it as well"):
        resolve_reduce(["mean", "resid=norm"], ("resid",), KNOWN)
    with pytest.raises(SelectionError, match="resid, mlp are all named"):
        resolve_reduce(["mean", "resid=norm", "mlp=norm"], SITES, KNOWN)
