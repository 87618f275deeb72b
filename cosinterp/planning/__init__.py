"""Planning a trace: every choice resolved, its size on the disk, and what would fit if that is too much."""
