"""Measure models on rows they were not trained on."""
