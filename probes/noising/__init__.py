"""What noise in latents does: to scores, to clean estimates and to activations.

places          the variants with noise that a store has, and what noise each is
runs            which runs are compared, and what each was given
sign_flips      how likely differences are by chance, over all places together
trajectories    how far noised runs are from their base runs, by step and by latent frame
alignment       how unlike their activations become, by step and layer
analysis        all of it as a result of the kind "noise"
plots           its figures
"""

from probes.noising.analysis import KIND, effects
from probes.noising.places import NoisedPlace, noised_places

__all__ = ["KIND", "NoisedPlace", "effects", "noised_places"]
