"""What every test stands on: no network, no display, and times that do not fail a slow machine."""

import os

# Set before any test imports the libraries that read them, once, at import.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("cosinterp", deadline=None, print_blob=True)
settings.load_profile("cosinterp")
