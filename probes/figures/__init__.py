"""Figures: what all kinds of results draw with.

plots       curves over steps and layers; the colours and markers that all figures share
cell_maps   maps of steps and layers with a number in each cell
panels      pages of several panels with a title and a caption
pictures    frames of videos laid out for reading
drawing     figures as files
"""
