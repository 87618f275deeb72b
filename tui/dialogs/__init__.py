"""What is shown over a screen, and asked there."""
