"""Interventions: what is changed inside a model while it runs, as data, and how that is done."""
