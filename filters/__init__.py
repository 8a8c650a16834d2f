"""Filters: pure functions from a question and its evidence to a verdict; the runner does all reading and writing."""
