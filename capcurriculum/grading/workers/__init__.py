"""math-verify in worker processes, for gold answers whose notation this package does not read."""
