"""Asking an engine for what a table lacks."""
