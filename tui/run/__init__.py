"""The screen of one run: its heatmaps, first image, prompt and facts."""
