"""Forms made of the commands' own flags; what is filled in becomes a command line, and that a job."""
