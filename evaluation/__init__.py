"""Serve models, and evaluate them on benchmarks and held-out rows."""
