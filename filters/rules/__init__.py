"""Filters that judge one question by its own evidence."""
