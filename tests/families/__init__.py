"""One row for each kind of pipeline: a tiny random one, and what is known of it without the anatomy."""
