"""Where along the denoising does maze-wan choose its goal? Patch one prompt's run into the other's.

Takes less than two minutes on two CPU cores, and writes into the folder that is named, or into ./patching.
"""

import sys
from pathlib import Path

import cosinterp as ci
from cosinterp.organism.dataset import write_mazes
from probes import effect_plots, effects
from probes.figures.drawing import save_figure

out = Path(sys.argv[1] if len(sys.argv) > 1 else "patching")
write_mazes(out / "mazes", count=2, rooms=7, seed=0, goals="both")  # each maze twice: to red, to blue
model = ci.load("maze-wan", device="cpu")
samples = ci.load_dataset(out / "mazes")
store = ci.trace(model, samples, store=out / "store", seeds=0, num_steps=4, save_steps="0,2", layers="0,4,8")

result = ci.patch(
    model,
    store,
    donor="maze-7x7-red-*",
    recipient="maze-7x7-blue-*",
    steps="0,2",
    layers="0,4,8",
    horizon=0,  # read the clean estimate of the patched step, and stop there
    videos=False,  # what is asked is how latents move
)
for direction in ("sufficiency", "necessity"):
    grid = effects.grid(result, "x0_recovered", direction)
    print(f"{direction}: share of the distance to the donor's clean estimate that is gone, n = 2 mazes")
    print(grid["value"].to_pandas().round(2))
save_figure(effect_plots.step_layer_maps(result, "x0_recovered"), out / "patching.png")
print("picture:", out / "patching.png", " result:", result.attrs["result"])
