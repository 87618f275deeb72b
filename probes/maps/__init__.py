"""Maps: what a store's activations look like on the token grid, with no task and no model.

choosing      which runs, steps and layers, and what their reduction can show
places        from what a reduction keeps to the token grid
energy        the L2 norm of each token, by frame and between frames
principal     principal components, streamed, and their colours
channels      the largest channels, and massive activations
collecting    all of it over a sweep, slab by slab
making        the result
labelling     its labelled arrays
estimates     means over runs with intervals
mosaic        small pictures in rows and columns
pictures      grids of maps: layers by steps, layers by frames
comparing     two runs side by side
curves        energy by frame, by layer, and the largest channels
"""
