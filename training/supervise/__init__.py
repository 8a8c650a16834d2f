"""A running trainer: its processes, stack dumps, metrics and live view."""
