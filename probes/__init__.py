"""Offline analyses over stores: no model is run, so every figure can be repeated from the store alone.

statistics    intervals for runs, resampled by sample
convergence   how the seeds of a sample agree over the steps
plots         curves over steps
pictures      frames of videos laid out for reading
"""
