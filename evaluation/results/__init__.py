"""Results of evaluations: scores, samples, and comparisons."""
