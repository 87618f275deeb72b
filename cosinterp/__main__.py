"""The ``cosinterp`` command, which is ``python -m cosinterp`` where that is not on the path."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or the app alone if that is all it is asked for."""
    from cosinterp.handing_over import hand_over

    if not hand_over(sys.argv[1:]):
        from cosinterp.cli import main as run_command_line

        run_command_line()


if __name__ == "__main__":
    main()
