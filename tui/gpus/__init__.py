"""The GPUs of this machine and the jobs that live, as they are seen from everywhere in the app."""
