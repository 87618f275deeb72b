"""Tuning the decoder of scene-wan leaves its encoder as it is."""

import torch

from cosinterp.organism.scenes.tune_decoder import affordable, kept_scenes, scene_material
from cosinterp.organism.tune_decoder import tune_decoder
from tests.tiny.maze_wan import narrow_vae

CPU = torch.device("cpu")


def test_only_the_decoder_changes():
    torch.manual_seed(0)
    before = narrow_vae()
    material = scene_material(1, 1)
    after = tune_decoder(before, material, 1, 1.0, CPU)
    own = dict(before.named_parameters())
    changed = {
        name
        for name, value in after.named_parameters()
        if not torch.equal(value, own[name].bfloat16().float())
    }
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)
    # An untrained one keeps nothing.
    assert kept_scenes(before, 1, CPU) == {"permanence": 0, "grounding": 0}


def test_what_fits_a_time_is_found_by_trying(monkeypatch):
    from cosinterp.organism.scenes import tune_decoder as program

    tried = []
    monkeypatch.setattr(program, "tune_decoder", lambda vae, material, count, *_: tried.append(count))
    ticks = iter([10.0, 14.0])
    monkeypatch.setattr(program.time, "monotonic", lambda: next(ticks))
    assert affordable(None, scene_material(1, 1), 100.0, CPU) == 25 * tried[-1]
