"""Serve models, and measure them on benchmarks and on rows they were not trained on."""
