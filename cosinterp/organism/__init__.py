"""The bundled model maze-wan: a small Wan that solves mazes, with all that it takes to make and measure it.

The task, which needs no torch:

- `mazes`: perfect mazes with two goals, by seed, in two splits.
- `rendering`: mazes as videos, and videos as cells.
- `tasks`: prompts, and the ground truth of a sample.
- `scoring`: what a video drew, against its truth.
- `dataset`: mazes as a dataset folder.
- `bulk`: many mazes, by several processes.

The model:

- `architecture`: its parts, and how they are saved.
- `sampling`: the pipeline's denoising loop over a batch of different first frames.
- `solver`: mazes solved and scored in bulk.

Making and measuring it:

- `config`: the training configuration, `train.toml`.
- `pool`: encoded mazes on the training device.
- `train_autoencoder`, `train_denoiser`: the two stages of training.
- `train`: the program that trains; `tune_decoder`: the one that sharpens the autoencoder's decoder.
- `measures`: what the model card measures; `evaluate`: the program that does.
- `bulk_ensembles`: ensembles of seeds over many mazes, and the programs that measure and tell them.
- `card`: the model card's tables, from what `evaluate` wrote.
- `program`: how these programs take flags and report mistakes.
- `maze-wan/`: the trained weights, in diffusers' layout.
"""
