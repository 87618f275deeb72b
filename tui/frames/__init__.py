"""The screen of pictures: what each step sees as the end."""
