"""What can be wrong with a Ray."""

from __future__ import annotations

from cosinterp.errors import UserError


class ClusterError(UserError):
    """Ray is missing, cannot be reached, or has a node that cannot do the work."""
