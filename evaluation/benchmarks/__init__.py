"""Benchmarks as samples: TSV files, stage files, generated scenes, and how they are scored."""
