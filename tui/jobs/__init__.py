"""The place where jobs are looked after."""
