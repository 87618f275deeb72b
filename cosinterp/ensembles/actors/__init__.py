"""Ensembles over several GPUs by Ray: one actor a GPU, each with some seeds, that meet where they merge."""
