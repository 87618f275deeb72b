"""What this machine has of what cosinterp needs, and for each lack what it means and what to do.

    for finding in examine(Circumstances(Path("runs"))):
        print(finding.group, finding.name, finding.state, finding.value)

Nothing here imports torch: a program of its own does, and is ended when it takes too long.
"""

from cosinterp.doctor.asking import Circumstances, Examination, Question, examine
from cosinterp.doctor.finding import Finding, State
from cosinterp.doctor.questions import GROUPS, QUESTIONS

__all__ = [
    "GROUPS",
    "QUESTIONS",
    "Circumstances",
    "Examination",
    "Finding",
    "Question",
    "State",
    "examine",
]
