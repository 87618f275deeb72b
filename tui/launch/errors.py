"""What can be wrong with a command line that a form is to be filled from."""

from stores.errors import UserError


class FormError(UserError):
    """Words that no form can be filled from."""
