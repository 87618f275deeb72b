"""In a worker that finds this folder on its path, ``cosinterp mazes ACT`` does what `acts` says.

``COSINTERP_TEST_ACTS_AS`` names the module of another command that does so.

So a job of any behaviour is started, kept and ended by the very code that runs real ones, without the seconds
that real ones take. Python imports this module at its start.
"""

import os
import sys

if "COSINTERP_JOB_PIPE" in os.environ:
    import acts

    sys.modules[os.environ.get("COSINTERP_TEST_ACTS_AS", "cosinterp.cli.mazes")] = acts
