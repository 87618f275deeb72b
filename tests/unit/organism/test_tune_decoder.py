"""Tuning the decoder leaves the encoder, and so the latents, as they are."""

import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism import tune_decoder as program
from cosinterp.organism.architecture import build_vae, ready_to_save
from cosinterp.organism.evaluate import BUNDLED


def test_only_the_decoder_changes_and_what_it_becomes_fits_bfloat16(monkeypatch):
    monkeypatch.setattr(program, "_MAZES", {5: 2})
    monkeypatch.setattr(program, "_BATCHES", ((5, 1),))
    torch.manual_seed(0)
    before = build_vae([0.5] * 8, [2.0] * 8)
    after = program.tune_decoder(before, program.maze_material(), 1, 1.0, torch.device("cpu"))
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


def test_what_is_saved_does_not_name_the_folder_it_was_read_from(tmp_path):
    build_vae().save_pretrained(tmp_path / "first")
    again = AutoencoderKLWan.from_pretrained(tmp_path / "first")
    ready_to_save(again).save_pretrained(tmp_path / "second")
    saved = (tmp_path / "second" / "config.json").read_text()
    assert str(tmp_path) not in saved
    for config in BUNDLED.glob("*/*.json"):
        assert "_name_or_path" not in config.read_text(), config
