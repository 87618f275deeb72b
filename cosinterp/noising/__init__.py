"""Noise put into latents: at a step in all frames, at a frame in all steps, or in any set of both.

noise_at    which noise, as data, and what its runs are called
mixing      how noise and a latent are mixed, and the energy of that
latents     the change of the latents of a call of a pipeline
places      the steps and frames of a sweep, and the energy that all of them can take
noise       base runs, and a variant for each place
"""
