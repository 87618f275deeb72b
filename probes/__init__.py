"""Offline analyses over stores: no model is run, so every figure can be repeated from the store alone.

What is asked of a store:

probing       linear probes by step and layer, with controls, baselines and tests
similarity    CKA and RSA between layers, steps, seeds, samples, variants and stores
maps          energy, components and channels on the token grid
convergence   how the seeds of a sample agree over the steps, and when runs commit
effects       what patching showed, by cell
scores        what runs scored by step

What comes out, and how it is looked at:

results       a result in the hand, its file, those of a store
kinds         how each kind of result is put into words, a table and figures
figures       curves, maps and pictures; and their files
report        all results of a store on one page
statistics    intervals, resampled by sample
"""
