"""A running trainer: its processes, stacks, metrics and live view."""
