"""The bundled model scene-wan: a small Wan that follows what is hidden, and moves what is named.

The tasks, which need no torch:

- `permanence`: a ball rolls behind a wall and comes out of it.
- `grounding`: of several blocks, the named one moves to the target.
- `rendering`: what scenes are drawn with; `splits`: which are held out.
- `tasks`: what every scene has, scenes by number, prompts.
- `scoring`: what a video drew, against its truth.
- `dataset`: scenes as a dataset folder.
- `bulk`: many scenes, by several processes.

Making and measuring the model:

- `config`: the training configuration, ``scene-train.toml`` and ``scene-train-on.toml``.
- `lessons`: what the model is trained on; `train`: the program that trains; `tune_decoder`: the one that
  sharpens the autoencoder's decoder.
- `solver`: scenes shown and scored in bulk; `evaluate`: the program that measures; `card`: its tables.
- `picture`: true scenes as film strips.
"""
