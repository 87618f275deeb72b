"""Capture: what goes into a store, how large it is, and how it gets there while the model runs."""
