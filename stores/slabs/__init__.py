"""The large datasets of a run's file: how they are divided, written and read, mostly past HDF5."""
