"""The place of results: a table of them, and of one what it says, shows and was made by."""
