"""The bundled models: small Wans, with all that it takes to make and measure them.

maze-wan solves mazes and is here; scene-wan and its tasks are in `scenes`, and share what is not about mazes.

The mazes, which need no torch:

- `mazes`: perfect mazes with two goals, by seed, in two splits.
- `rendering`: mazes as videos, and videos as cells.
- `tasks`: prompts, and the ground truth of a sample.
- `scoring`: what a video drew, against its truth.
- `dataset`: mazes as a dataset folder.
- `bulk`: many mazes, by several processes.

The model:

- `architecture`: its parts, and how they are saved.
- `sampling`: the pipeline's denoising loop over a batch of different first frames.
- `batch_pipeline`: the pipeline's parts on a device, for such a batch, with its prompts.
- `solver`: mazes solved and scored in bulk.

Making and measuring it:

- `config`: the training configuration, `train.toml`.
- `lessons`: what any model is trained on; `maze_lessons`: what maze-wan is.
- `pool`: encoded true videos on the training device.
- `training`: a training in its folder; `train_autoencoder`, `train_denoiser`: its two stages.
- `train`: the program that trains; `tune_decoder`: the one that sharpens the autoencoder's decoder.
- `measures`: what the model card measures; `evaluate`: the program that does.
- `bulk_ensembles`: ensembles of seeds over many mazes, and the programs that measure and tell them.
- `card`: the model card's tables, from what `evaluate` wrote; `markdown`: how tables are written.
- `program`: how these programs take flags and report mistakes.
- `maze-wan/`, `scene-wan/`: the trained weights, in diffusers' layout.
"""
