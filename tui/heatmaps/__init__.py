"""Heatmaps of steps and layers: what they hold, how numbers become colours, and where they come from.

heatmap      the numbers of one map, and its cells in words
scale        numbers as colours or digits
of_run       quantities of one run, read from its store
of_results   what results have on steps and layers
"""
