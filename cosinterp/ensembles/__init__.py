"""Ensembles of seeds: what several seeds of a sample compute is merged, or the best of them is kept."""
