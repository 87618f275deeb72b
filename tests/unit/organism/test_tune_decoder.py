"""Tuning the decoder leaves the encoder, and so the latents, as they are."""

import torch

from cosinterp.organism import tune_decoder as program
from cosinterp.organism.architecture import build_vae


def test_only_the_decoder_changes_and_what_it_becomes_fits_bfloat16(monkeypatch):
    monkeypatch.setattr(program, "_MAZES", {5: 2})
    monkeypatch.setattr(program, "_BATCHES", ((5, 1),))
    torch.manual_seed(0)
    before = build_vae([0.5] * 8, [2.0] * 8)
    after = program.tune_decoder(before, 1, 1.0, torch.device("cpu"))
    own = dict(before.named_parameters())
    changed = set()
    for name, parameter in after.named_parameters():
        assert torch.equal(parameter, parameter.bfloat16().float()), name
        if not torch.equal(parameter, own[name].bfloat16().float()):
            changed.add(name)
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)
    assert after.config["latents_mean"] == before.config["latents_mean"]
    assert after.config["latents_std"] == before.config["latents_std"]
