"""``python -m cosinterp.rehearsal``: answers questions on its standard input, a line of JSON each.

With ``--once`` it answers one question and ends.
"""

import sys

from cosinterp.rehearsal.answering import answer_once
from cosinterp.rehearsal.attempt import ONCE
from cosinterp.rehearsal.serving import serve

answer_once() if sys.argv[1:] == [ONCE] else serve()
