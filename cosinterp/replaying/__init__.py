"""Replay: a run of a store made again from any step on, exactly, with or without changes."""
