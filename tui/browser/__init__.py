"""The place of runs: a table of them, and the detail of one."""
