"""The app's widgets, one a file, named after it."""
