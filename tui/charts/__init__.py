"""Charts of results in the terminal: what they hold, where their numbers come from, and how they are drawn.

chart         the numbers of one chart, and its points in words
views         what a result can be looked at by, and the numbers of one of these
of_results    where the numbers come from, a module a kind of result; with making and view
comparing     two charts or maps held against one another
curve_plot    curves as lines of cells, with a cursor; with axis, look, curve_grid
dot_plot      dots with intervals as lines of cells, with a cursor
chart_view    the widget
"""
