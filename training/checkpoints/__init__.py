"""Checkpoints: the first parent, export and verification."""
