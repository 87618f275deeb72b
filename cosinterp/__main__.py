"""``python -m cosinterp``: the command line, for where its script is not on the path."""

from cosinterp.cli import main

main()
