"""Capture: how tensors get from the running model into a store."""
