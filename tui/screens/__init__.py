"""The app's screens, one a file, named after it."""
