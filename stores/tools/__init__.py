"""What is done with whole stores: compare, merge, remove."""
