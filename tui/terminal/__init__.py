"""What the terminal can do, as it tells when it is asked, and what it was sent."""
