"""Which errors a user can mend."""

from __future__ import annotations

import errno
import traceback

from stores.errors import UserError

# The operating system's refusals that say something about the user's disk or rights, not about our code.
_CIRCUMSTANCES = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
}


def mendable(error: BaseException) -> UserError | None:
    """The error as one that the user can mend; None if it is a bug of ours."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.errno in _CIRCUMSTANCES:
        return UserError(f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror))
    return None


def told(error: BaseException) -> tuple[str, bool]:
    """What is said of an error, and whether the user can mend it: one line then, else its traceback."""
    users = mendable(error)
    return ("".join(traceback.format_exception(error)), False) if users is None else (str(users), True)
