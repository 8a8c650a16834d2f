"""Filters that compare questions with each other and with benchmarks."""
