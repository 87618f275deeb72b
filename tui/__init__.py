"""The terminal app: browse stores over SSH and in tmux. It never imports torch."""
