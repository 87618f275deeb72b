"""Models: loading a diffusers pipeline, and what its denoiser is made of."""
