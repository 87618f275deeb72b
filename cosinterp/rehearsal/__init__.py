"""What a command line would do, told while it is typed: by the command line itself, in a process kept warm.

`check_words` tells in this process, without torch and within milliseconds, whether words can be parsed.
`Rehearsal` asks a child process (``python -m cosinterp.rehearsal``), which imports the heavy libraries once
and then carries out each command line with ``--dry-run --json`` in a fork of itself.
"""

from cosinterp.rehearsal.answer import Answer, Plan
from cosinterp.rehearsal.rehearsal import Rehearsal
from cosinterp.rehearsal.words import check_words

__all__ = ["Answer", "Plan", "Rehearsal", "check_words"]
