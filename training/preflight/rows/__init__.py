"""Checks of the training rows: schema, images, prompt lengths and rewards."""
