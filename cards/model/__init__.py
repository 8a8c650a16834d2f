"""The card of a model: training, results, usage and limits."""
