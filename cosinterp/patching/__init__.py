"""Activation patching: which tokens, which runs, which cells of a grid, and what a patch did."""
