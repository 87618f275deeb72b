"""Ensembles of maze-wan's seeds over thousands of held-out mazes, on a GPU.

`cosinterp.ensemble` makes ensembles of any model, one sample at a time, and keeps every run. To choose among
many ways of merging, and to tell their gains from chance, hundreds of mazes are needed for each way; here
they go side by side, and only what was drawn is kept.

- `schemes`: what is merged, as data, with its cost.
- `choice`: the schemes that are measured, the most important first.
- `tasks`: the mazes, and their true paths. These three need no torch.
- `running`: a scheme, denoised over many mazes at once.
- `reading`: what decoded latents drew.
- `outcomes`: what is kept of it, in one file.
- `python -m cosinterp.organism.bulk_ensembles`: the program that measures.
- `answers`: votes, selection and verification, computed from what single seeds drew.
- `comparison`, `figure`: gains, costs and intervals.
- `python -m cosinterp.organism.bulk_ensembles.tables`: the program that tells them.
"""
