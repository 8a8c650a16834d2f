"""Benchmarks as samples: TSV files, stage files, generated scenes, and their scores."""
