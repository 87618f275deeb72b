"""Linear probes: what can be read off activations, with the statistics that such a claim needs."""
