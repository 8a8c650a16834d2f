"""Checkpoints: the first parent, selection, export and verification."""
