"""Filters: pure functions from a question and its evidence to a verdict; `runner` reads and writes for them."""
